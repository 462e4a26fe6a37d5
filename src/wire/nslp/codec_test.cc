// Text to binary and back: what a publisher signed is what a node's controller reads.
#include <gtest/gtest.h>

#include <random>

#include "wire/ncm/status.h"
#include "wire/nslp/compact.h"
#include "wire/nslp/message.h"

namespace netserv::nslp {
namespace {

const char kSetup[] =
    "SETUP NetMonitor_1.0.0 NETSERV/0.1\n"
    "url:http://example.com/netmonitor.wasm\n"
    "digest:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
    "filter-proto:udp\n"
    "properties:visualizer_ip=192.0.2.7,visualizer_port=5678\n"
    "user:janedoe\n"
    "nonce:c711ebe515a50ed7ab7af33786577778\n"
    "expires:1795385174\n"
    "toward:198.51.100.7\n"
    "x-later: some: thing, \xc3\xa9\n"
    "signature:Ek/mFM8gVG3w6nCTEk/mFM8gVG3w6nCTEk/mFM8gVG3w6nCTEk/mFM8gVG3w6nCTEk/mFM8gVG3w6nCTaaaaaa==\n\n";

Request request_of(std::string_view text) {
  Request r;
  r.id = 7;
  r.acted = 2;
  r.time_left = std::chrono::milliseconds(30000);
  r.ncm = *ncm::parse_message(text);
  return r;
}

ncm::StatusCode code_of(ByteSpan bytes) {
  auto decoded = decode(bytes);
  return decoded ? ncm::StatusCode::kOk : ncm::status_of(decoded.error());
}

TEST(NslpCodec, FigureThreeComesBackWithItsSignedText) {
  const Request sent = request_of(kSetup);
  auto bytes = encode(sent);
  ASSERT_TRUE(bytes) << bytes.error().message();
  EXPECT_EQ(bytes->size() % 4, 0u);
  EXPECT_LT(bytes->size(), ncm::print_message(sent.ncm).size());
  auto got = decode(*bytes);
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(std::get<Request>(*got), sent);
  EXPECT_EQ(ncm::print_message(std::get<Request>(*got).ncm), ncm::print_message(sent.ncm));
}

TEST(NslpCodec, BytesOfASmallRequest) {
  Request r = request_of("PROBE * NETSERV/0.1\nprobe:node\n\n");
  EXPECT_EQ(to_hex(*encode(r)),
            "01010200" "00000007" "00007530"
            "00010002" "02000001" "2a000000"
            "00020002" "0b000004" "6e6f6465");
  r.trigger = true;
  EXPECT_EQ(to_hex(*encode(r)).substr(0, 8), "01030200");
}

ncm::Message random_ncm(std::mt19937& rng) {
  auto pick = [&](std::string_view alphabet, std::size_t most) {
    std::string out;
    for (std::size_t n = 1 + rng() % most; n > 0; --n) out += alphabet[rng() % alphabet.size()];
    return out;
  };
  ncm::Message m;
  m.verb = static_cast<ncm::Verb>(rng() % 3);
  m.object = pick("abcXYZ019._-*~", 30);
  for (std::size_t n = rng() % 12; n > 0; --n) {
    const bool known = rng() % 2;
    const std::string name = known ? std::array{"url", "digest", "nonce", "signature", "toward"}[rng() % 5] : pick("abz09-._", 12);
    std::string value = std::array{pick("0123456789abcdef", 64), pick("ABab01+/=", 90), pick("aZ0 \t:,=\\;\"\xc3\xa9", 40)}[rng() % 3];
    m.set(name, std::string(ncm::trim(value)));
  }
  return m;
}

TEST(NslpCodec, AnyTextComesBack) {
  std::mt19937 rng(1);
  for (int i = 0; i < 3000; ++i) {
    Request r;
    r.trigger = rng() % 2;
    r.acted = static_cast<std::uint8_t>(rng());
    r.id = static_cast<std::uint32_t>(rng());
    r.time_left = std::chrono::milliseconds(rng());
    r.ncm = random_ncm(rng);
    if (rng() % 4 == 0) r.foreign.push_back({100, Bytes(8, std::byte{1})});
    auto bytes = encode(r);
    ASSERT_TRUE(bytes) << ncm::print_message(r.ncm) << bytes.error().message();
    auto back = decode(*bytes);
    ASSERT_TRUE(back) << back.error().message();
    ASSERT_EQ(std::get<Request>(*back), r);
    ASSERT_EQ(ncm::signed_text(std::get<Request>(*back).ncm), ncm::signed_text(r.ncm));
  }
}

TEST(NslpCodec, EveryTruncationIsRefused) {
  const Bytes whole = *encode(request_of(kSetup));
  std::size_t accepted = 0;
  for (std::size_t n = 0; n < whole.size(); ++n) accepted += decode(ByteSpan(whole).first(n)).has_value();
  // A message may end after any whole header: whether one is missing is for the signature to show.
  EXPECT_EQ(accepted, request_of(kSetup).ncm.headers.size());
}

TEST(NslpCodec, WhatIsAcceptedIsWrittenTheSameWay) {
  std::mt19937 rng(3);
  const Bytes whole = *encode(request_of(kSetup));
  for (int i = 0; i < 20000; ++i) {
    Bytes bent = whole;
    for (std::size_t n = 1 + rng() % 3; n > 0; --n) bent[rng() % bent.size()] = std::byte(rng());
    auto got = decode(bent);
    if (!got) continue;
    auto again = encode(*got);
    ASSERT_TRUE(again) << again.error().message();
    ASSERT_EQ(*decode(*again), *got);
  }
}

TEST(NslpCodec, UnknownObjectsFollowTheirFlags) {
  const Bytes base = *encode(request_of("PROBE * NETSERV/0.1\n\n"));
  auto with = [&](std::uint16_t first) {
    Bytes b = base;
    for (std::uint8_t v : {first >> 8, first & 0xff, 0, 1, 1, 2, 3, 4}) b.push_back(std::byte(v));
    return b;
  };
  EXPECT_EQ(code_of(with(0x0064)), ncm::StatusCode::kSyntax);  // mandatory
  EXPECT_EQ(code_of(with(0xc064)), ncm::StatusCode::kSyntax);  // reserved
  auto ignored = decode(with(0x4064));
  ASSERT_TRUE(ignored);
  EXPECT_TRUE(std::get<Request>(*ignored).foreign.empty());
  auto forwarded = decode(with(0x8064));
  ASSERT_TRUE(forwarded);
  EXPECT_EQ(*encode(*forwarded), with(0x8064));
}

TEST(NslpCodec, HeadersThatTheTextFormRefuses) {
  Request r = request_of("PROBE * NETSERV/0.1\n\n");
  r.ncm.headers = {{"user", "a\nsignature:x"}};
  EXPECT_FALSE(encode(r));
  r.ncm.headers = {{"user", "a"}, {"user", "b"}};
  EXPECT_FALSE(encode(r));
  r.ncm.headers = {{"user", " a"}};
  EXPECT_FALSE(encode(r));
  // The same in bytes: a line end inside the value of a header.
  Bytes b = *encode(request_of("PROBE * NETSERV/0.1\nuser:ab\n\n"));
  b[b.size() - 3] = std::byte{'\n'};
  EXPECT_EQ(code_of(b), ncm::StatusCode::kSyntax);
}

TEST(NslpCodec, TooLarge) {
  Request r = request_of("PROBE * NETSERV/0.1\n\n");
  for (std::uint16_t type = 100; type < 103; ++type) r.foreign.push_back({type, Bytes(16000)});
  ASSERT_TRUE(encode(r));
  r.foreign.push_back({103, Bytes(16000)});
  auto bytes = encode(r);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(ncm::status_of(bytes.error()), ncm::StatusCode::kTooLarge);
  EXPECT_EQ(code_of(Bytes(kMaxMessage + 4)), ncm::StatusCode::kTooLarge);
}

TEST(NslpCompact, OnlyWhatComesBack) {
  EXPECT_EQ(compact("c711ebe515a50ed7ab7af33786577778").form, ValueForm::kHex);
  EXPECT_EQ(compact("c711ebe515a50ed7ab7af33786577778").bytes.size(), 16u);
  EXPECT_NE(compact("C711EBE515A50ED7AB7AF33786577778").form, ValueForm::kHex);
  EXPECT_EQ(compact("aGVsbG8gd29ybGQ+IA==").form, ValueForm::kBase64);
  EXPECT_EQ(compact("aGVsbG8gd29ybGQ+IB==").form, ValueForm::kText);  // bits that no encoder would set
  EXPECT_EQ(compact("abcd").form, ValueForm::kText);
  EXPECT_FALSE(expand(3, {}));
  EXPECT_FALSE(expand(1, Bytes(4)));  // would have been text
}

}  // namespace
}  // namespace netserv::nslp
