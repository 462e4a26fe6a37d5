#include "transport/ping.h"

#include <gtest/gtest.h>

namespace netserv::transport {
namespace {

gist::RecvMessage request(std::uint8_t hop) {
  Ping ping;
  ping.sequence = 7;
  ping.hop = hop;
  ping.stamp = 99;
  gist::PathCoupledMri mri;
  mri.source = *IpAddress::parse("10.0.1.1");
  mri.destination = *IpAddress::parse("10.0.9.9");
  gist::RecvMessage m;
  m.data = encode_ping(ping);
  m.nslp = gist::NslpId(kPingNslp);
  m.mri = mri;
  m.hops = 60;
  return m;
}

TEST(Ping, IsReadBack) {
  Ping ping{Ping::Kind::kEcho, 65535, 3, 1234567890123ull, *IpAddress::parse("2001:db8::1"), "r1"};
  const Bytes bytes = encode_ping(ping);
  EXPECT_EQ(bytes.size() % 4, 0u);
  EXPECT_EQ(decode_ping(bytes), ping);
  for (std::size_t n = 0; n < bytes.size() - 2; ++n) EXPECT_FALSE(decode_ping(ByteSpan(bytes).first(n))) << n;
}

TEST(Ping, ARequestIsAnsweredUpstreamAndPassedOn) {
  PingResponder node("r2");
  const auto out = node.on_message(request(1), *IpAddress::parse("10.0.2.2"));
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(gist::direction_of(out[0].mri), gist::Direction::kUpstream);
  const auto echo = decode_ping(out[0].data);
  EXPECT_EQ(echo, (Ping{Ping::Kind::kEcho, 7, 2, 99, *IpAddress::parse("10.0.2.2"), "r2"}));
  EXPECT_EQ(gist::direction_of(out[1].mri), gist::Direction::kDownstream);
  EXPECT_EQ(decode_ping(out[1].data)->hop, 2);
}

TEST(Ping, TheLastNodeSaysSo) {
  PingResponder node("r3");
  const auto out = node.on_message(request(0), *IpAddress::parse("10.0.2.2"));
  gist::MessageStatus status;
  status.handle = out[1].handle;
  status.error = gist::SendError::kNoNextNode;
  const auto end = node.on_status(status);
  ASSERT_EQ(end.size(), 1u);
  EXPECT_EQ(decode_ping(end[0].data)->kind, Ping::Kind::kEnd);
  EXPECT_TRUE(node.on_status(status).empty());
}

}  // namespace
}  // namespace netserv::transport
