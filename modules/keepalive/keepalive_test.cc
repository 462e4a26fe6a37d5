// The module as the node calls it: packets in, verdicts and packets out.
#include <gtest/gtest.h>

#include "keepalive/sip_samples.h"
#include "testing/fake_blocks.h"

extern "C" {
std::int32_t netserv_start();
void netserv_process(std::int32_t count);
void netserv_timer(std::int32_t id);
void netserv_properties();
extern const char netserv_manifest[];
}

namespace keepalive {
namespace {

using namespace samples;
using netserv::testing::blocks;
using netserv::testing::packet_bytes;
using netserv::testing::place_packet;

std::string be16(std::size_t v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }

std::string udp(const std::string& payload) {
  return be16(40000) + be16(5060) + be16(8 + payload.size()) + be16(0xbeef) + payload;
}
std::string ipv4(const std::string& payload, const std::string& options = "") {
  std::string u = udp(payload);
  std::string h{static_cast<char>(0x45 + options.size() / 4), '\xb9'};
  h += be16(20 + options.size() + u.size()) + be16(0x1234) + be16(0) + std::string("\x3d\x11\x00\x00", 4);
  h += std::string("\xc0\x00\x02\x01\xc6\x33\x64\x07", 8) + options;
  return h + u;
}
std::string ipv6(const std::string& payload) {
  std::string u = udp(payload);
  std::string h("\x6b\x92\x34\x56", 4);
  h += be16(u.size()) + "\x11\x3d";
  for (char last : {'\x01', '\x07'}) h += std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + last;
  return h + u;
}

class KeepAlive : public ::testing::Test {
 protected:
  void SetUp() override {
    netserv::testing::reset_blocks();
    ASSERT_EQ(netserv_start(), 0);
  }
  netserv_packet& process(const std::string& bytes, std::uint32_t flags = 0, std::uint32_t capacity = NETSERV_SLOT_BYTES) {
    netserv_packet& p = place_packet(0, bytes);
    p.flags = flags;
    p.capacity = capacity;
    netserv_process(1);
    return p;
  }
  void expect_untouched(const netserv_packet& p, const std::string& bytes) {
    EXPECT_EQ(p.verdict, NETSERV_PASS);
    EXPECT_EQ(p.changed, 0);
    EXPECT_EQ(packet_bytes(p), bytes);
  }
};

TEST_F(KeepAlive, AnswersOverIpv4) {
  netserv_packet& p = process(ipv4(notify().text()));
  ASSERT_EQ(p.verdict, NETSERV_REPLY);
  EXPECT_EQ(p.changed, 1);
  std::string reply = packet_bytes(p);
  EXPECT_EQ(reply.substr(0, 2), "\x45\xb8");                                   // no ECN
  EXPECT_EQ(reply.substr(2, 2), be16(reply.size()));
  EXPECT_EQ(reply.substr(4, 8), std::string("\0\0\x40\0\x40\x11\0\0", 8));
  EXPECT_EQ(reply.substr(12, 8), std::string("\xc6\x33\x64\x07\xc0\x00\x02\x01", 8));
  EXPECT_EQ(reply.substr(20, 8), be16(5060) + be16(40000) + be16(reply.size() - 20) + be16(0));
  EXPECT_EQ(reply.substr(28, 16), "SIP/2.0 200 OK\r\n");
  EXPECT_NE(reply.find("rport=40000"), std::string::npos);
  EXPECT_NE(reply.find("received=192.0.2.1"), std::string::npos);
}

TEST_F(KeepAlive, AnswersOverIpv6) {
  netserv_packet& p = process(ipv6(options().text()));
  ASSERT_EQ(p.verdict, NETSERV_REPLY);
  std::string reply = packet_bytes(p);
  EXPECT_EQ(reply.substr(0, 4), std::string("\x6b\x82\x34\x56", 4));
  EXPECT_EQ(reply.substr(4, 4), be16(reply.size() - 40) + "\x11\x40");
  EXPECT_EQ(reply[8 + 15], 7);
  EXPECT_EQ(reply[24 + 15], 1);
  EXPECT_EQ(reply.substr(40, 4), be16(5060) + be16(40000));
  EXPECT_NE(reply.find(";received=2001:db8::1\r\n"), std::string::npos);
}

TEST_F(KeepAlive, OptionsOfTheIpHeaderAreNotReturned) {
  netserv_packet& p = process(ipv4(notify().text(), std::string("\x94\x04\x00\x00", 4)));
  ASSERT_EQ(p.verdict, NETSERV_REPLY);
  EXPECT_EQ(packet_bytes(p)[0], 0x45);
  EXPECT_EQ(packet_bytes(p).substr(28, 7), "SIP/2.0");
}

TEST_F(KeepAlive, CrlfAndSilentPings) {
  netserv_packet& p = process(ipv4("\r\n\r\n"));
  ASSERT_EQ(p.verdict, NETSERV_REPLY);
  EXPECT_EQ(packet_bytes(p).substr(28), "\r\n");
  EXPECT_EQ(process(ipv4(std::string(4, '\0'))).verdict, NETSERV_DROP);
}

TEST_F(KeepAlive, AllElsePassesUntouched) {
  std::string tcp = ipv4(notify().text());
  tcp[9] = 6;
  std::string fragment = ipv4(notify().text());
  fragment[6] = 0x20;
  std::string portless = ipv4(notify().text());
  portless[20] = portless[21] = 0;
  for (const std::string& bytes :
       {tcp, fragment, portless, ipv4("hello"), ipv4(notify().with("Event", "presence").text()),
        ipv4(options().asking("OPTIONS sip:bob@example.com SIP/2.0").text()), std::string("\x45"), std::string()})
    expect_untouched(process(bytes), bytes);
  std::string cut = ipv4(notify().text());
  expect_untouched(process(cut, NETSERV_FLAG_TRUNCATED), cut);
}

TEST_F(KeepAlive, AnAnswerThatDoesNotFitPasses) {
  std::string bytes = ipv4(notify().without("Max-Forwards").without("Content-Length").text());
  expect_untouched(process(bytes, 0, static_cast<std::uint32_t>(bytes.size())), bytes);
  netserv_timer(0);
  EXPECT_EQ(blocks().counters["too_long"], 1u);
}

TEST_F(KeepAlive, SwapOffLooksAndLetsGo) {
  blocks().properties["swap"] = "off";
  netserv_properties();
  for (const std::string& payload : {notify().text(), std::string("\r\n\r\n"), std::string(4, '\0')})
    expect_untouched(process(ipv4(payload)), ipv4(payload));
  netserv_timer(0);
  EXPECT_EQ(blocks().counters["notify"], 1u);
  EXPECT_EQ(blocks().counters["crlf"], 1u);
  EXPECT_EQ(blocks().counters["silent"], 1u);
}

TEST_F(KeepAlive, PropertiesDecideWhatAPingIs) {
  std::string bytes = ipv4(options().asking("OPTIONS sip:ping@example.net SIP/2.0").text());
  expect_untouched(process(bytes), bytes);
  blocks().properties = {{"users", "ping"}, {"domains", "example.net"}};
  netserv_properties();
  EXPECT_EQ(process(bytes).verdict, NETSERV_REPLY);
  EXPECT_EQ(process(ipv4(options().text())).verdict, NETSERV_PASS);
}

TEST_F(KeepAlive, BadPropertiesFailTheStart) {
  blocks().properties = {{"swap", "maybe"}};
  EXPECT_NE(netserv_start(), 0);
  blocks().properties = {{"domains", std::string(513, 'a')}};
  EXPECT_NE(netserv_start(), 0);
  EXPECT_EQ(blocks().log.size(), 2u);
}

TEST_F(KeepAlive, ABatchIsJudgedPacketByPacket) {
  for (unsigned i = 0; i < NETSERV_BATCH_MAX; i++)
    place_packet(i, ipv4(i % 2 ? notify().text() : std::string("no keep-alive")));
  netserv_process(NETSERV_BATCH_MAX);
  for (unsigned i = 0; i < NETSERV_BATCH_MAX; i++) EXPECT_EQ(netserv_batch[i].verdict, i % 2 ? NETSERV_REPLY : NETSERV_PASS);
}

}  // namespace
}  // namespace keepalive
