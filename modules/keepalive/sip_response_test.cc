#include "keepalive/sip_response.h"

#include <gtest/gtest.h>

#include <vector>

#include "keepalive/sip_samples.h"

namespace keepalive {
namespace {

using namespace samples;

constexpr std::uint8_t kNat6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

std::string answer(const Sample& sample, Source source = {4, kNat, 40000}) {
  std::string text = sample.text();
  Request request;
  if (classify(text_of(text), server(), request) == Kind::kOther) return "not a keep-alive";
  std::vector<char> out(2048);
  std::uint32_t n = write_response(request, source, 0x0123456789abcdef, out.data(), 2048);
  return std::string(out.data(), n);
}

std::string via_of(const std::string& response) {
  std::size_t from = response.find("Via: ") + 5;
  return response.substr(from, response.find("\r\n", from) - from);
}

TEST(Response, WholeOfIt) {
  EXPECT_EQ(answer(notify()),
            "SIP/2.0 200 OK\r\n"
            "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK-1;rport=40000;received=192.0.2.1\r\n"
            "From: Alice <sip:alice@example.com>;tag=a1\r\n"
            "To: <sip:example.com>;tag=0123456789abcdef\r\n"
            "Call-ID: c1@10.0.0.5\r\n"
            "CSeq: 7 NOTIFY\r\n"
            "Content-Length: 0\r\n"
            "\r\n");
}

TEST(Response, ReceivedOnlyWhereItIsDue) {
  EXPECT_EQ(via_of(answer(options().with("Via", "SIP/2.0/UDP 192.0.2.1;branch=a"))), "SIP/2.0/UDP 192.0.2.1;branch=a");
  // RFC 3581 section 4: with rport always.
  EXPECT_EQ(via_of(answer(options().with("Via", "SIP/2.0/UDP 192.0.2.1;rport;branch=a"))),
            "SIP/2.0/UDP 192.0.2.1;rport=40000;branch=a;received=192.0.2.1");
  // RFC 3261 section 18.2.1: a name, or another address.
  EXPECT_EQ(via_of(answer(options().with("Via", "SIP/2.0/UDP pc.example.com;branch=a"))),
            "SIP/2.0/UDP pc.example.com;branch=a;received=192.0.2.1");
  EXPECT_EQ(via_of(answer(options().with("Via", "SIP/2.0/UDP [2001:db8::1]:5060;branch=a"), {6, kNat6, 1})),
            "SIP/2.0/UDP [2001:db8::1]:5060;branch=a");
  EXPECT_EQ(via_of(answer(options().with("Via", "SIP/2.0/UDP [2001:db8::2];rport"), {6, kNat6, 1})),
            "SIP/2.0/UDP [2001:db8::2];rport=1;received=2001:db8::1");
}

TEST(Response, AllViasInOrderAndOnlyTheTopOneFilledIn) {
  std::string response = answer(notify()
                                    .with("Via", "SIP/2.0/UDP a;rport;branch=1 , SIP/2.0/UDP b;rport;branch=2")
                                    .adding("v", "SIP/2.0/TCP c;branch=3"));
  EXPECT_EQ(response.substr(0, response.find("From:")),
            "SIP/2.0 200 OK\r\n"
            "Via: SIP/2.0/UDP a;rport=40000;branch=1;received=192.0.2.1 , SIP/2.0/UDP b;rport;branch=2\r\n"
            "Via: SIP/2.0/TCP c;branch=3\r\n");
}

TEST(Response, ToTagStaysIfThereIsOne) {
  std::string response = answer(notify().with("To", "sip:example.com ; TAG=xyz"));
  EXPECT_NE(response.find("To: sip:example.com ; TAG=xyz\r\n"), std::string::npos);
}

TEST(Response, TagIsStableForRetransmissionsAndDiffersOtherwise) {
  auto tag = [](const Sample& sample, std::uint64_t key) {
    std::string text = sample.text();
    Request request;
    EXPECT_NE(classify(text_of(text), server(), request), Kind::kOther);
    return make_tag(request, key);
  };
  EXPECT_EQ(tag(notify(), 1), tag(notify(), 1));
  EXPECT_NE(tag(notify(), 1), tag(notify(), 2));
  EXPECT_NE(tag(notify(), 1), tag(notify().with("Call-ID", "c2@10.0.0.5"), 1));
  EXPECT_NE(tag(notify(), 1), tag(notify().with("CSeq", "8 NOTIFY"), 1));
  EXPECT_NE(tag(notify(), 1), tag(notify().with("From", "<sip:bob@example.com>;tag=a1"), 1));
}

TEST(Response, NothingIfItDoesNotFit) {
  std::string text = notify().text();
  Request request;
  ASSERT_EQ(classify(text_of(text), server(), request), Kind::kNotify);
  std::uint32_t whole = static_cast<std::uint32_t>(answer(notify()).size());
  for (std::uint32_t capacity = 0; capacity <= whole; capacity++) {
    std::vector<char> out(capacity);
    std::uint32_t n = write_response(request, {4, kNat, 40000}, 1, out.data(), capacity);
    EXPECT_EQ(n, capacity == whole ? whole : 0);
  }
}

}  // namespace
}  // namespace keepalive
