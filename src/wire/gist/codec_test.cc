// Round trips: captured messages, one sample a type, random ones; what is kept, dropped and refused.
#include <gtest/gtest.h>

#include "wire/gist/message.h"
#include "wire/gist/stream.h"
#include "wire/gist/testing/samples.h"

namespace netserv::gist {
namespace {

using namespace testing;

Message must_decode(ByteSpan bytes, Transport transport) {
  DecodeResult m = decode_message(bytes, transport);
  EXPECT_TRUE(m) << (m ? "" : row_of(m.error().kind).name) << " " << to_hex(bytes);
  return m ? *m : Message{};
}

Bytes must_encode(const Message& message, Transport transport) {
  Result<Bytes> bytes = encode_message(message, transport);
  EXPECT_TRUE(bytes) << (bytes ? "" : bytes.error().message());
  return bytes ? *bytes : Bytes{};
}

TEST(GistCodec, CapturedMessagesRoundTripByteForByte) {
  // RFC5971: 5.1-3, 5.1-5, 5.1-8, 5.1-13, 5.1-14, 5.1-15, 5.1-16, 5.2.2-7, A.1-1
  const std::vector<Captured> all = captured_messages(NETSERV_SOURCE_DIR);
  ASSERT_EQ(all.size(), 8u);
  for (const Captured& c : all) {
    const Message m = must_decode(c.bytes, c.transport);
    EXPECT_EQ(to_string(m.type()), c.name);
    EXPECT_EQ(to_hex(must_encode(m, c.transport)), to_hex(c.bytes)) << c.name;
  }
  const Message query = must_decode(all[4].bytes, Transport::kDatagram);
  const Message response = must_decode(all[5].bytes, Transport::kDatagram);
  const Message confirm = must_decode(all[6].bytes, Transport::kStream);
  EXPECT_EQ(response.query_cookie, query.query_cookie);
  EXPECT_EQ(*response.mri, inverted(*query.mri));
  EXPECT_EQ(*confirm.mri, *query.mri);
  EXPECT_EQ(confirm.responder_cookie, response.responder_cookie);
  EXPECT_EQ(confirm.stack_proposal, response.stack_proposal);
  EXPECT_TRUE(confirm.stack_configuration->options.empty());
  EXPECT_EQ(query.nli->interface_address.to_string(), "10.71.1.1");
  EXPECT_EQ(query.nli->validity.count(), 30000u);
  EXPECT_EQ(query.nli->ip_ttl, 64);
  EXPECT_EQ(forwards_tcp_port(*response.stack_configuration, 1), 30000);
  EXPECT_EQ(forwards_tcp_port(*response.stack_configuration, 2), 30001);
  EXPECT_FALSE(forwards_tcp_port(*query.stack_configuration, 1));
}

TEST(GistCodec, SamplesRoundTrip) {
  for (const Message& m : {sample_query(), sample_response(), sample_confirm(), sample_data(), sample_error()}) {
    Message out = must_decode(must_encode(m, Transport::kDatagram), Transport::kDatagram);
    out.header.length = 0;
    EXPECT_EQ(out, m) << to_string(m.type());
  }
  for (const Message& m : {sample_response(), sample_confirm(), sample_stream_data(), sample_hello()}) {
    Message out = must_decode(must_encode(m, Transport::kStream), Transport::kStream);
    out.header.length = 0;
    EXPECT_EQ(out, m) << to_string(m.type());
  }
}

TEST(GistCodec, RandomMessagesRoundTrip) {
  std::mt19937_64 random(5971);
  for (int i = 0; i < 20000; ++i) {
    const Transport transport = i % 2 ? Transport::kDatagram : Transport::kStream;
    const Message m = random_message(random, transport);
    const Bytes bytes = must_encode(m, transport);
    Message out = must_decode(bytes, transport);
    EXPECT_EQ(must_encode(out, transport), bytes);
    out.header.length = m.header.length;
    ASSERT_TRUE(out == m) << i << " " << to_hex(bytes);
  }
}

// No truncation and no single changed byte may crash; what is accepted must encode and decode to itself.
TEST(GistCodec, DamagedMessagesAreRefusedOrCanonical) {
  std::mt19937_64 random(270);
  for (int i = 0; i < 20000; ++i) {
    const Transport transport = i % 2 ? Transport::kDatagram : Transport::kStream;
    Bytes bytes = must_encode(random_message(random, transport), transport);
    if (i % 3 == 0) bytes.resize(random() % (bytes.size() + 1));
    if (!bytes.empty()) bytes[random() % bytes.size()] = std::byte(random());
    DecodeResult m = decode_message(bytes, transport);
    if (!m) continue;
    const Message again = must_decode(must_encode(*m, transport), transport);
    m->header.length = again.header.length;  // shorter if an unknown object was to be ignored
    ASSERT_TRUE(again == *m) << i << " " << to_hex(bytes);
  }
}

TEST(GistCodec, DatagramNeedsTheMagicNumber) {
  // RFC5971: 5.3.1-3, 5.3.1-4
  const Bytes good = encode_datagram(sample_query()).value();
  EXPECT_EQ(to_hex(ByteSpan(good).first(4)), "4e04bda5");
  EXPECT_TRUE(decode_datagram(good));
  Bytes bad = good;
  bad[3] ^= std::byte{1};
  ASSERT_FALSE(decode_datagram(bad));
  EXPECT_FALSE(decode_datagram(bad).error().answerable);
  EXPECT_FALSE(decode_datagram(ByteSpan(good).first(3)).error().answerable);
}

TEST(GistCodec, ReservedBitsAreIgnoredAndSentAsZero) {
  // RFC5971: A.3.4-3, A.3.1.1-1
  const Bytes clean = must_encode(sample_query(), Transport::kDatagram);
  Bytes dirty = clean;
  dirty[7] |= std::byte{0x1f};       // common header
  dirty[8] |= std::byte{0x30};       // TLV header of the MRI
  dirty[10] |= std::byte{0xf0};
  dirty[8 + 4 + 14] = std::byte{17};  // MRI: protocol while P=0
  dirty[8 + 4 + 15] |= std::byte{3};  // MRI: below the DS field
  EXPECT_EQ(must_encode(must_decode(dirty, Transport::kDatagram), Transport::kDatagram), clean);
  Message query = sample_query();
  query.nslp_data.reset();
  const Bytes padded = must_encode(query, Transport::kDatagram);
  // Stack-Proposal: header, count, {1, 1, 0, 0}, {2, 2, 1, 0}; then the SCD's 4 words with its header.
  Bytes dirty_padding = padded;
  dirty_padding[padded.size() - 16 - 1] = std::byte{9};
  EXPECT_EQ(must_encode(must_decode(dirty_padding, Transport::kDatagram), Transport::kDatagram), padded);
}

TEST(GistCodec, UnknownObjectsFollowTheirExtensibilityFlags) {
  // RFC5971: A.2.1-2, A.2.1-3
  ByteWriter w;
  const Bytes data = must_encode(sample_stream_data(), Transport::kStream);
  w.bytes(ByteSpan(data).first(8));
  for (const std::uint16_t type : {0x4000 | 100, 0x8000 | 101}) {
    w.u16(type);
    w.u16(1);
    w.u32(0xcafe0000u | type);
  }
  w.bytes(ByteSpan(data).subspan(8));
  Bytes bytes = w.take();
  bytes[3] = std::byte(std::to_integer<int>(bytes[3]) + 4);
  const Message m = must_decode(bytes, Transport::kStream);
  ASSERT_EQ(m.forwarded.size(), 1u);
  EXPECT_EQ(m.forwarded[0].type, 101);
  EXPECT_EQ(m.forwarded[0].after, 0);
  const Bytes again = must_encode(m, Transport::kStream);
  EXPECT_EQ(again.size(), bytes.size() - 8);
  EXPECT_EQ(to_hex(ByteSpan(again).subspan(8, 8)), "80650001cafe8065");
}

TEST(GistCodec, EncodeRefusesWhatDecodeWould) {
  Message m = sample_query();
  m.mri.reset();
  EXPECT_FALSE(encode_datagram(m));
  m = sample_query();
  m.stack_configuration.reset();
  EXPECT_FALSE(encode_datagram(m));
  m = sample_query();
  m.nslp_data = Bytes(3);
  EXPECT_FALSE(encode_datagram(m));
  m.nslp_data = Bytes(4 * 4096);
  EXPECT_FALSE(encode_datagram(m));
  m.nslp_data = Bytes(4 * 4095);
  EXPECT_TRUE(encode_datagram(m));
  m = sample_query();
  m.hello_id = 1;
  EXPECT_FALSE(encode_datagram(m));
  m = sample_query();
  m.nli->validity = Milliseconds(0);
  EXPECT_FALSE(encode_datagram(m));
  PathCoupledMri mri = std::get<PathCoupledMri>(sample_mri());
  mri.source_port = 1;
  m = sample_query();
  m.mri = mri;
  EXPECT_FALSE(encode_datagram(m)) << "a port needs a protocol";
  EXPECT_FALSE(encode_message(sample_query(), Transport::kStream));
  EXPECT_FALSE(encode_message(sample_hello(), Transport::kDatagram));
  EXPECT_FALSE(encode_message(sample_data(), Transport::kStream)) << "NLI only in D-mode";
  EXPECT_FALSE(encode_message(sample_stream_data(), Transport::kDatagram));
}

TEST(GistStream, CutsMessagesWhereverTheBytesAreSplit) {
  Bytes stream;
  std::vector<Bytes> sent;
  for (const Message& m : {sample_hello(), sample_confirm(), sample_stream_data()}) {
    sent.push_back(must_encode(m, Transport::kStream));
    stream.insert(stream.end(), sent.back().begin(), sent.back().end());
  }
  for (std::size_t piece : {1u, 3u, 8u, 100u, 1000u}) {
    StreamSplitter splitter;
    std::vector<Bytes> got;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      splitter.append(ByteSpan(stream).subspan(at, std::min(piece, stream.size() - at)));
      for (ByteSpan m = splitter.next(); !m.empty(); m = splitter.next()) got.emplace_back(m.begin(), m.end());
    }
    EXPECT_EQ(got, sent) << piece;
    EXPECT_EQ(splitter.buffered(), 0u);
  }
}

TEST(GistErrorCatalogue, EveryRowIsFoundByItsCode) {
  for (const ErrorRow& row : kErrorCatalogue) EXPECT_EQ(find_error(code_of(row.kind), subcode_of(row.kind)), &row);
  EXPECT_EQ(find_error(13, 0), nullptr);
  EXPECT_EQ(find_error(1, 6), nullptr);
}

TEST(GistMri, PrintsAndInverts) {
  PathCoupledMri m = std::get<PathCoupledMri>(sample_mri());
  m.protocol = 17;
  m.destination_port = 0;
  EXPECT_EQ(to_string(Mri(m)), "path-coupled 10.71.1.1/32 -> 10.71.3.2/32 downstream protocol 17 to port 0");
  EXPECT_EQ(direction_of(inverted(m)), Direction::kUpstream);
  EXPECT_EQ(inverted(inverted(m)), Mri(m));
  EXPECT_NE(hash_of(m), hash_of(inverted(m)));
  EXPECT_EQ(hash_of(m), hash_of(inverted(inverted(m))));
}

}  // namespace
}  // namespace netserv::gist
