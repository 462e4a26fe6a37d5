#include "wire/gist_api/codec.h"

#include <gtest/gtest.h>

#include "wire/gist/testing/samples.h"

namespace netserv::gist {
namespace {

std::vector<ApiMessage> samples() {
  const Mri mri = testing::sample_mri();
  const SessionId session = testing::sample_session();
  SendMessage send;
  send.data = Bytes(8, std::byte{1});
  send.handle = MessageHandle(77);
  send.nslp = NslpId(32704);
  send.session = session;
  send.mri = mri;
  send.sii = SiiHandle(5);
  send.attributes.reliable = true;
  send.timeout = std::chrono::milliseconds(1500);
  send.ip_ttl = 9;
  send.hops = 3;
  SendMessage bare;
  bare.mri = LooseEndMri{};
  RecvMessage recv;
  recv.data = Bytes(4, std::byte{2});
  recv.mri = mri;
  recv.session = session;
  recv.check = QueryTicket(12);
  recv.attributes.state_validated = true;
  recv.ip_ttl = 63, recv.ip_distance = 2, recv.hops = 30, recv.interface = 4;
  MessageStatus status;
  status.handle = MessageHandle(77);
  status.error = SendError::kUnreachable;
  status.gist_code = 12;
  status.gist_subcode = 2;
  NetworkNotification note;
  note.mri = mri;
  note.session = session;
  note.type = NetworkNotification::Type::kRouteDeletion;
  note.sii = SiiHandle(9);
  return {Attach{NslpId(32704), "nslpd"},
          AttachReply{false, "taken"},
          send,
          bare,
          AnswerQuery{QueryTicket(12), {true, Bytes(4)}},
          AnswerQuery{QueryTicket(13), {false, {}}},
          SetStateLifetime{NslpId(3), mri, session, std::chrono::seconds(30)},
          SetStateLifetime{NslpId(3), mri, {}, {}},
          InvalidateRoutingState{NslpId(3), mri, RouteStatus::kBad, Bytes(4), true},
          InvalidateRoutingState{{}, mri, RouteStatus::kTentative, {}, false},
          recv,
          status,
          note};
}

TEST(GistApi, RoundTrips) {
  std::set<std::size_t> types;
  for (const ApiMessage& m : samples()) {
    const Bytes packet = encode_api_message(m);
    const Result<ApiMessage> back = decode_api_message(packet);
    ASSERT_TRUE(back) << m.index();
    EXPECT_EQ(back->index(), m.index());
    EXPECT_EQ(encode_api_message(*back), packet);
    EXPECT_TRUE(*back == m) << m.index();
    types.insert(m.index());
  }
  EXPECT_EQ(types.size(), std::variant_size_v<ApiMessage>);
}

TEST(GistApi, BytesAreAsDocumented) {
  EXPECT_EQ(to_hex(encode_api_message(Attach{NslpId(32704), "ab"})), "01010000" "7fc0" "02" "6162");
  EXPECT_EQ(to_hex(encode_api_message(AnswerQuery{QueryTicket(258), {true, Bytes(4)}})),
            "01040000" "0000000000000102" "01" "01" "00000004" "00000000");
  MessageStatus s;
  s.handle = MessageHandle(1);
  s.nslp = NslpId(2);
  s.attributes.reliable = true;
  s.error = SendError::kNoNextNode;
  EXPECT_EQ(to_hex(encode_api_message(s)), "01080000" "0000000000000001" "0002" "09" "06" "0000" "00");
}

TEST(GistApi, CutOrLengthenedPacketsAreRefused) {
  for (const ApiMessage& m : samples()) {
    Bytes packet = encode_api_message(m);
    for (std::size_t n = 0; n < packet.size(); ++n) EXPECT_FALSE(decode_api_message(ByteSpan(packet).first(n)));
    packet.push_back(std::byte{0});
    EXPECT_FALSE(decode_api_message(packet));
  }
}

TEST(GistApi, UnknownVersionsTypesAndValuesAreRefused) {
  Bytes packet = encode_api_message(Attach{NslpId(1), ""});
  packet[0] = std::byte{2};
  EXPECT_FALSE(decode_api_message(packet));
  packet[0] = std::byte{1};
  for (int type : {0, 10, 255}) {
    packet[1] = std::byte(type);
    EXPECT_FALSE(decode_api_message(packet));
  }
  MessageStatus s;
  packet = encode_api_message(s);
  packet[4 + 8 + 2 + 1] = std::byte{15};
  EXPECT_FALSE(decode_api_message(packet));
  packet = encode_api_message(AttachReply{true, ""});
  packet[4] = std::byte{2};
  EXPECT_FALSE(decode_api_message(packet));
  packet = encode_api_message(SetStateLifetime{NslpId(1), testing::sample_mri(), {}, {}});
  packet[packet.size() - 8] = std::byte{0xff};
  EXPECT_FALSE(decode_api_message(packet)) << "a lifetime beyond 292 years";
}

TEST(GistApi, DurationsAreRoundedUp) {
  SendMessage s;
  s.mri = testing::sample_mri();
  s.timeout = Duration(1);
  EXPECT_EQ(std::get<SendMessage>(*decode_api_message(encode_api_message(s))).timeout, std::chrono::milliseconds(1));
}

}  // namespace
}  // namespace netserv::gist
