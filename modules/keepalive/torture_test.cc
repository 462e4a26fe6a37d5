// RFC 4475's messages are never taken for keep-alives; nor are they once their Request-URI names the server, if
// something else is wrong with them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "keepalive/sip_samples.h"

namespace keepalive {
namespace {

using namespace samples;

std::vector<std::pair<std::string, std::string>> torture_messages() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& entry : std::filesystem::directory_iterator(NETSERV_SOURCE_DIR "/tests/vectors/rfc4475")) {
    if (entry.path().extension() != ".dat") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    out.emplace_back(entry.path().stem(), std::string(std::istreambuf_iterator<char>(file), {}));
  }
  return out;
}

TEST(Torture, NoMessageIsAKeepAlive) {
  auto messages = torture_messages();
  ASSERT_EQ(messages.size(), 50u);
  Target with_users = server();
  with_users.users = "bob,alice,service";
  for (const auto& [name, text] : messages) {
    EXPECT_EQ(kind_of(text, server()), Kind::kOther) << name;
    EXPECT_EQ(kind_of(text, with_users), Kind::kOther) << name;
    EXPECT_EQ(kind_of(text, server6()), Kind::kOther) << name;
    for (std::size_t n = 0; n < text.size() && n < 2048; n += 7)
      EXPECT_EQ(kind_of(text.substr(0, n), server()), Kind::kOther) << name << " cut to " << n;
  }
}

TEST(Torture, OptionsWithOtherFaultsStayOthersWhenTheServerIsMeant) {
  // Sound but for their user part; all others are wrong in another way.
  const std::set<std::string> sound = {"badbranch", "transports", "semiuri", "lwsdisp"};
  for (const auto& [name, text] : torture_messages()) {
    if (text.rfind("OPTIONS ", 0) != 0) continue;
    std::size_t version = text.find(" SIP/", 8);
    std::string meant = "OPTIONS sip:example.com" + text.substr(version);
    EXPECT_EQ(kind_of(meant, server()), sound.count(name) ? Kind::kOptions : Kind::kOther) << name;
  }
}

TEST(Torture, TheTortuousFormsAreReadNotGuessed) {
  // wsinv holds all that the header grammar allows; made a keep-alive, it is one.
  for (const auto& [name, text] : torture_messages()) {
    if (name != "wsinv") continue;
    std::string made = text.substr(0, text.find("\r\n\r\n")) + "\r\no\t:\r\n KEEP-alive ;\r\n  a = b\r\n\r\n";
    for (std::size_t at; (at = made.find("INVITE")) != std::string::npos;) made.replace(at, 6, "NOTIFY");
    made.replace(made.find("150"), 3, "0");
    EXPECT_EQ(kind_of(made, server()), Kind::kNotify);
  }
}

}  // namespace
}  // namespace keepalive
