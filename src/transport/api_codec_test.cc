#include "transport/api_codec.h"

#include <gtest/gtest.h>

namespace netserv::transport {
namespace {

gist::Mri flow() {
  gist::PathCoupledMri m;
  m.direction = gist::Direction::kUpstream;
  m.source = *IpAddress::parse("10.0.1.1");
  m.destination = *IpAddress::parse("10.0.2.2");
  m.protocol = 17;
  m.destination_port = 5060;
  return m;
}

std::vector<Bytes> requests() {
  gist::SendMessage send;
  send.data = Bytes(8, std::byte{1});
  send.handle = gist::MessageHandle(77);
  send.nslp = gist::NslpId(32704);
  send.session.bytes[3] = std::byte{9};
  send.mri = flow();
  send.attributes.reliable = true;
  send.timeout = std::chrono::milliseconds(250);
  send.hops = 12;
  gist::SetStateLifetime lifetime{gist::NslpId(1), flow(), gist::SessionId{}, std::chrono::seconds(3)};
  gist::InvalidateRoutingState invalid{std::nullopt, flow(), gist::RouteStatus::kBad, Bytes(4), true};
  return {encode(Register{gist::NslpId(32704), true}), encode(send), encode(lifetime), encode(invalid),
          encode(AnswerQuery{gist::QueryTicket(5), {true, Bytes(4)}})};
}

std::vector<Bytes> indications() {
  gist::RecvMessage recv;
  recv.data = Bytes(12, std::byte{7});
  recv.nslp = gist::NslpId(32704);
  recv.mri = flow();
  recv.check = gist::QueryTicket(3);
  recv.attributes.return_routable = true;
  recv.interface = 4;
  gist::MessageStatus status;
  status.error = gist::SendError::kRefused;
  status.gist_code = 6;
  gist::NetworkNotification note;
  note.mri = flow();
  note.type = gist::NetworkNotification::Type::kLastNode;
  return {encode(Registered{gist::NslpId(1), "no"}), encode(recv), encode(status), encode(note)};
}

TEST(ApiCodec, RequestsAreReadBack) {
  for (const Bytes& bytes : requests()) {
    const auto message = decode_request(bytes);
    ASSERT_TRUE(message) << to_hex(bytes);
    EXPECT_EQ(encode(*message), bytes);
    EXPECT_FALSE(decode_indication(bytes));
  }
}

TEST(ApiCodec, IndicationsAreReadBack) {
  for (const Bytes& bytes : indications()) {
    const auto message = decode_indication(bytes);
    ASSERT_TRUE(message) << to_hex(bytes);
    EXPECT_EQ(encode(*message), bytes);
    EXPECT_FALSE(decode_request(bytes));
  }
}

TEST(ApiCodec, CutOrLongerMessagesAreRefused) {
  std::vector<Bytes> all = requests();
  for (Bytes& bytes : all) {
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_request(ByteSpan(bytes).first(n)));
    bytes.push_back({});
    EXPECT_FALSE(decode_request(bytes));
  }
}

}  // namespace
}  // namespace netserv::transport
