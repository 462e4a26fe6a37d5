#include "wire/ncm/message.h"

#include <gtest/gtest.h>

#include <random>

#include "wire/ncm/reader.h"
#include "wire/ncm/status.h"

namespace netserv::ncm {
namespace {

StatusCode code_of(std::string_view text) {
  auto message = parse_message(text);
  return message ? StatusCode::kOk : status_of(message.error());
}

TEST(Message, TolerantOfCaseBlanksAndLineEnds) {
  auto m = parse_message("SETUP  a_1 \tNETSERV/0.1\r\n Filter-PORT :\t5060 \r\nurl:http://x/\n \r\n");
  ASSERT_TRUE(m) << m.error().message();
  EXPECT_EQ(m->verb, Verb::kSetup);
  EXPECT_EQ(m->object, "a_1");
  ASSERT_EQ(m->headers.size(), 2u);
  EXPECT_EQ(m->headers[0], (Header{"filter-port", "5060"}));
  EXPECT_EQ(*m->find("url"), "http://x/");
}

TEST(Message, KeepsUnknownHeadersAndValuesWithColons) {
  auto m = parse_message("REMOVE a NETSERV/0.1\nx-later:a:b: c\n\n");
  ASSERT_TRUE(m);
  EXPECT_EQ(*m->find("x-later"), "a:b: c");
}

TEST(Message, Refusals) {
  EXPECT_EQ(code_of(""), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1\nurl:x\n"), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1\n\nmore"), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1\n\n"), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1 HTTP/1.1\n\n"), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.2\n\n"), StatusCode::kVersion);
  EXPECT_EQ(code_of("DELETE a_1 NETSERV/0.1\n\n"), StatusCode::kUnknownVerb);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1 x\n\n"), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1\nno colon\n\n"), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1\n:v\n\n"), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1\na b:v\n\n"), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1\na:v\x01\n\n"), StatusCode::kSyntax);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1\nTTL:1\nttl:1\n\n"), StatusCode::kDuplicateHeader);
  EXPECT_EQ(code_of("SETUP " + std::string(300, 'a') + " NETSERV/0.1\n\n"), StatusCode::kTooLarge);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1\nurl:" + std::string(kMaxHeaderValue + 1, 'x') + "\n\n"),
            StatusCode::kTooLarge);
  EXPECT_EQ(code_of("SETUP a_1 NETSERV/0.1\nx:" + std::string(kMaxMessageBytes, 'x') + "\n\n"), StatusCode::kTooLarge);
  std::string many = "SETUP a_1 NETSERV/0.1\n";
  for (std::size_t i = 0; i <= kMaxHeaders; ++i) many += "h" + std::to_string(i) + ":v\n";
  EXPECT_EQ(code_of(many + "\n"), StatusCode::kTooLarge);
}

TEST(Message, SignedTextIsCanonical) {
  auto a = parse_message("SETUP m_1 NETSERV/0.1\nURL: http://x/ \nsignature:abc\ndigest:00\n\n");
  auto b = parse_message("SETUP   m_1 NETSERV/0.1\r\ndigest:00\r\nurl:http://x/\r\nsignature:other\r\n\r\n");
  ASSERT_TRUE(a && b);
  EXPECT_EQ(signed_text(*a), "SETUP m_1 NETSERV/0.1\ndigest:00\nurl:http://x/\n");
  EXPECT_EQ(signed_text(*a), signed_text(*b));
}

Message random_message(std::mt19937& rng) {
  auto pick = [&](std::string_view alphabet, std::size_t most) {
    std::string out;
    for (std::size_t n = 1 + rng() % most; n > 0; --n) out += alphabet[rng() % alphabet.size()];
    return out;
  };
  Message m;
  m.verb = static_cast<Verb>(rng() % 4);
  m.object = pick("abcXYZ019._-*~", 30);
  for (std::size_t n = rng() % 10; n > 0; --n)
    m.set(pick("abz09-._", 12), std::string(trim(pick("aZ0 \t:,=\\;\"\xc3\xa9", 40))));
  return m;
}

TEST(Message, PrintAndParseAreInverse) {
  std::mt19937 rng(1);
  for (int i = 0; i < 2000; ++i) {
    Message m = random_message(rng);
    auto back = parse_message(print_message(m));
    ASSERT_TRUE(back) << print_message(m) << back.error().message();
    EXPECT_EQ(*back, m);
    EXPECT_EQ(signed_text(*back), signed_text(m));
  }
}

TEST(Message, EveryTruncationIsRefusedOrIncomplete) {
  std::string text = print_message(*parse_message("SETUP m_1 NETSERV/0.1\nurl:http://x/\nttl:5\n\n"));
  for (std::size_t n = 0; n < text.size(); ++n) {
    EXPECT_FALSE(parse_message(text.substr(0, n)));
    MessageReader reader;
    reader.feed(text.substr(0, n));
    auto next = reader.next();
    EXPECT_TRUE(next && !*next);
  }
}

TEST(MessageReader, CutsAnyFragmentation) {
  std::mt19937 rng(2);
  for (int round = 0; round < 50; ++round) {
    std::vector<Message> sent;
    std::string stream;
    for (int i = 0; i < 5; ++i) {
      sent.push_back(random_message(rng));
      stream += print_message(sent.back());
      if (rng() % 2) stream += "\r\n";
    }
    MessageReader reader;
    std::vector<Message> got;
    for (std::size_t at = 0; at < stream.size();) {
      std::size_t n = std::min<std::size_t>(1 + rng() % 40, stream.size() - at);
      reader.feed(stream.substr(at, n));
      at += n;
      while (true) {
        auto next = reader.next();
        ASSERT_TRUE(next) << next.error().message();
        if (!*next) break;
        got.push_back(**next);
      }
    }
    EXPECT_EQ(got, sent);
  }
}

TEST(MessageReader, EndlessInputIsRefused) {
  MessageReader reader;
  reader.feed(std::string(kMaxMessageBytes + 1, 'a'));
  auto next = reader.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(status_of(next.error()), StatusCode::kTooLarge);
}

}  // namespace
}  // namespace netserv::ncm
