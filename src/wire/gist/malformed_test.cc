// Every way to be malformed has its error, with the additional information that the catalogue asks for
// (RFC 5971, A.4.4), or is met with silence.
#include <gtest/gtest.h>

#include <functional>

#include "wire/gist/message.h"
#include "wire/gist/object_walk.h"
#include "wire/gist/testing/samples.h"

namespace netserv::gist {
namespace {

using namespace testing;

// A message as its header and its objects' bytes, to be bent.
struct Parts {
  CommonHeader header;
  std::vector<Bytes> objects;
  int length_error = 0;  // words that the Length lies by

  Bytes join() const {
    ByteWriter body;
    for (const Bytes& o : objects) body.bytes(o);
    CommonHeader h = header;
    h.length = static_cast<std::uint16_t>(static_cast<int>(body.size() / 4) + length_error);
    ByteWriter out;
    encode_header(out, h);
    out.bytes(body.view());
    return out.take();
  }
  // The first object of the type.
  Bytes& at(ObjectType type) {
    for (Bytes& o : objects)
      if (ByteReader(o).u16() == static_cast<std::uint16_t>(type)) return o;
    ADD_FAILURE() << "no " << to_string(type);
    return objects.front();
  }
  void remove(ObjectType type) {
    std::erase_if(objects, [&](const Bytes& o) { return ByteReader(o).u16() == static_cast<std::uint16_t>(type); });
  }
  void set_words(ObjectType type, int more) { lengthen(at(type), more); }
  static void lengthen(Bytes& o, int more) { o[3] = std::byte(std::to_integer<int>(o[3]) + more); }
};

Parts split(const Message& m, Transport transport) {
  const Bytes bytes = encode_message(m, transport).value();
  ByteReader in(bytes);
  Parts p;
  p.header = decode_header(in);
  for (RawObject o; in.remaining() > 0 && next_object(in, o);) p.objects.emplace_back(o.whole.begin(), o.whole.end());
  return p;
}

Bytes object(std::uint16_t first, std::vector<std::uint32_t> words) {
  ByteWriter w;
  w.u16(first);
  w.u16(static_cast<std::uint16_t>(words.size()));
  for (std::uint32_t word : words) w.u32(word);
  return w.take();
}

Parts query() { return split(sample_query(), Transport::kDatagram); }

DecodeError refused(const Parts& parts, Transport transport = Transport::kDatagram) {
  const DecodeResult m = decode_message(parts.join(), transport);
  EXPECT_FALSE(m) << "was accepted";
  return m ? DecodeError{} : m.error();
}

std::string describe(const DecodeError& e) {
  std::string out = std::to_string(code_of(e.kind)) + "/" + std::to_string(subcode_of(e.kind));
  for (const ErrorInfo& info : e.info) {
    if (auto n = number_in(info)) out += " " + std::to_string(info.type) + ":" + std::to_string(*n);
    if (auto o = object_in(info))
      out += " 4:" + std::to_string(ByteReader(o->object).u16() & 0xfff) + "@" + std::to_string(o->offset);
  }
  if (e.info.size() < row_of(e.kind).info_count) out += " lacks information";
  return out;
}

TEST(GistMalformed, CommonHeader) {
  // RFC5971: A.1-1, A.1-4, A.1-5, 5.1-5, 5.2.1-1, A.4.4.1-1, 5.5-2
  Parts p = query();
  p.header.version = 2;
  EXPECT_EQ(describe(refused(p)), "1/0");
  p = query();
  p.header.type = 6;
  EXPECT_EQ(describe(refused(p)), "1/1");
  p = query();
  p.header.reply_requested = false;
  EXPECT_EQ(describe(refused(p)), "1/2");
  p = query();
  p.header.explicitly_routed = true;
  EXPECT_EQ(describe(refused(p)), "1/4");
  p = query();
  p.header.context_free = false;
  EXPECT_EQ(describe(refused(p)), "1/5");

  for (const Message& m : {sample_confirm(), sample_data(), sample_error()}) {
    p = split(m, Transport::kDatagram);
    p.header.reply_requested = true;
    EXPECT_EQ(describe(refused(p)), "1/2") << to_string(m.type());
  }
  for (const Message& m : {sample_confirm(), sample_response(), sample_error()}) {
    p = split(m, Transport::kDatagram);
    p.header.context_free = true;
    EXPECT_EQ(describe(refused(p)), "1/5") << to_string(m.type());
    p.header.context_free = false;
    p.header.explicitly_routed = true;
    EXPECT_EQ(describe(refused(p)), "1/4") << to_string(m.type());
  }
  p = split(sample_stream_data(), Transport::kStream);
  p.header.context_free = true;
  EXPECT_EQ(describe(refused(p, Transport::kStream)), "1/5") << "Q-mode is for datagrams";
  p = split(sample_data(), Transport::kDatagram);
  p.header.context_free = true;
  EXPECT_TRUE(decode_message(p.join(), Transport::kDatagram));
}

TEST(GistMalformed, ResponderCookieAsksForAConfirm) {
  // RFC5971: 5.1-10, A.1-3
  Parts p = split(sample_response(), Transport::kDatagram);
  p.header.reply_requested = false;
  EXPECT_EQ(describe(refused(p)), "1/2");
  Message plain = sample_response();
  plain.responder_cookie.reset();
  plain.stack_proposal.reset();
  plain.stack_configuration.reset();
  p = split(plain, Transport::kDatagram);
  p.header.reply_requested = false;
  EXPECT_TRUE(decode_message(p.join(), Transport::kDatagram));
}

TEST(GistMalformed, MessageLength) {
  // RFC5971: A.1-5
  const std::string words = std::to_string((query().join().size() - 8) / 4);
  for (int lie : {-1, 1}) {
    Parts p = query();
    p.length_error = lie;
    EXPECT_EQ(describe(refused(p)), "1/3 1:" + words);
  }
  Parts p = query();
  Parts::lengthen(p.objects.back(), 1);  // the last object goes past the end
  EXPECT_EQ(describe(refused(p)), "1/3 1:" + std::to_string(std::stoi(words) + 1));
}

TEST(GistMalformed, HeaderErrorsNameNoSession) {
  // RFC5971: A.4.4.1-1
  Parts p = query();
  p.header.version = 9;
  const DecodeError e = refused(p);
  EXPECT_TRUE(e.answerable);
  ASSERT_TRUE(e.nli) << "the answer goes there";
  EXPECT_FALSE(e.to_object().session);
  EXPECT_FALSE(e.to_object().mri);
  EXPECT_EQ(e.to_object().header.version, 9);
}

TEST(GistMalformed, TooShortOrAnErrorIsMetWithSilence) {
  // RFC5971: 5.6-1
  for (std::size_t n = 0; n < 8; ++n)
    EXPECT_FALSE(decode_message(Bytes(n, std::byte{1}), Transport::kDatagram).error().answerable);
  Parts p = split(sample_error(), Transport::kDatagram);
  p.remove(ObjectType::kNli);
  EXPECT_FALSE(refused(p).answerable);
}

TEST(GistMalformed, Encapsulation) {
  // RFC5971: 5.5-1, 5.1-3, 5.1-18
  EXPECT_EQ(describe(refused(query(), Transport::kStream)), "3/0");
  EXPECT_EQ(describe(refused(split(sample_hello(), Transport::kStream))), "3/0");
}

TEST(GistMalformed, MissingObjects) {
  // RFC5971: 5.1-2
  for (ObjectType t : {ObjectType::kMri, ObjectType::kSessionId, ObjectType::kNli, ObjectType::kQueryCookie}) {
    Parts p = query();
    p.remove(t);
    EXPECT_EQ(describe(refused(p)), "9/2 3:" + std::to_string(static_cast<int>(t)));
  }
  Parts p = query();
  p.remove(ObjectType::kStackProposal);
  EXPECT_EQ(describe(refused(p)), "9/2 3:3");
  p = query();
  p.remove(ObjectType::kStackConfiguration);
  EXPECT_EQ(describe(refused(p)), "9/2 3:4");
  p = split(sample_response(), Transport::kDatagram);
  p.remove(ObjectType::kResponderCookie);
  EXPECT_EQ(describe(refused(p)), "9/2 3:6");
  p = split(sample_data(), Transport::kDatagram);
  p.remove(ObjectType::kNslpData);
  EXPECT_EQ(describe(refused(p)), "9/2 3:8");
}

TEST(GistMalformed, NliOfDataDependsOnTheMode) {
  // RFC5971: 5.1-16
  Parts p = split(sample_data(), Transport::kDatagram);
  EXPECT_EQ(describe(refused(p, Transport::kStream)), "9/3 3:2");
  p.remove(ObjectType::kNli);
  EXPECT_EQ(describe(refused(p)), "9/2 3:2");
  EXPECT_TRUE(decode_message(p.join(), Transport::kStream));
}

TEST(GistMalformed, DuplicateInvalidAndDisorderedObjects) {
  // RFC5971: 5.1-1, 5.1-2
  for (std::size_t i = 0; i < query().objects.size(); ++i) {
    Parts p = query();
    p.objects.insert(p.objects.begin() + static_cast<std::ptrdiff_t>(i), p.objects[i]);
    EXPECT_EQ(describe(refused(p)), "9/0 3:" + std::to_string(ByteReader(p.objects[i]).u16()));
  }
  Parts p = query();
  p.objects.push_back(object(10, {1}));
  EXPECT_EQ(describe(refused(p)), "9/3 3:10") << "a Hello-ID in a Query";
  p = query();
  std::swap(p.objects[0], p.objects[1]);
  EXPECT_EQ(describe(refused(p)), "9/2 3:0") << "the MRI is not where it must be";
  p = query();
  std::swap(p.objects[4], p.objects[5]);
  EXPECT_EQ(describe(refused(p)), "9/3 3:3") << "Stack-Proposal after the configuration";
}

TEST(GistMalformed, UnknownObjects) {
  // RFC5971: A.2.1-1, A.2.1-4
  Parts p = query();
  p.objects.insert(p.objects.begin(), object(1234, {1, 2}));
  const DecodeError e = refused(p);
  EXPECT_EQ(describe(e), "9/1 3:1234");
  EXPECT_EQ(e.mri, sample_mri()) << "decodable, though behind the culprit";
  EXPECT_EQ(e.session, sample_session());
  p = query();
  p.objects.push_back(object(0xc000 | 1234, {}));
  EXPECT_EQ(describe(refused(p)), "9/5 3:1234");
  p = query();
  p.at(ObjectType::kNli)[0] |= std::byte{0xc0};
  EXPECT_EQ(describe(refused(p)), "9/5 3:2");
}

TEST(GistMalformed, ObjectLengths) {
  // RFC5971: A.2-1, A.4.1-2
  Parts p = query();
  for (ObjectType t : {ObjectType::kMri, ObjectType::kSessionId, ObjectType::kNli, ObjectType::kStackProposal,
                       ObjectType::kStackConfiguration}) {
    for (int more : {-1, 1}) {
      p = query();
      Bytes& o = p.at(t);
      if (more > 0) o.insert(o.end(), 4, std::byte{0});
      if (more < 0) o.resize(o.size() - 4);
      p.set_words(t, more);
      const DecodeError e = refused(p);
      EXPECT_EQ(e.kind, ErrorKind::kIncorrectObjectLength) << to_string(t) << more;
      ASSERT_EQ(e.info.size(), 1u);
      EXPECT_EQ(object_in(e.info[0])->object, p.at(t)) << "the object is in the error whole";
    }
  }
  p = query();
  p.at(ObjectType::kQueryCookie) = object(5, {});
  EXPECT_EQ(describe(refused(p)), "10/0 4:5@4");
  Parts hello = split(sample_hello(), Transport::kStream);
  hello.objects[0] = object(10, {1, 2});
  EXPECT_EQ(describe(refused(hello, Transport::kStream)), "10/0 4:10@4");
}

// `edit` gets the bytes of the value.
std::string bent(const Message& m, ObjectType type, const std::function<void(std::byte*)>& edit) {
  Parts p = split(m, Transport::kDatagram);
  edit(p.at(type).data() + 4);
  return describe(refused(p));
}

TEST(GistMalformed, MriValues) {
  // RFC5971: 5.8.1.1-2, A.3.1.1-2, A.3.1.1-3, A.3.1.1-4, A.3.1.1-5
  const auto mri = [](const std::function<void(std::byte*)>& edit) { return bent(sample_query(), ObjectType::kMri, edit); };
  EXPECT_EQ(mri([](std::byte* v) { v[0] = std::byte{2}; }), "10/1 4:0@4") << "unknown method";
  EXPECT_EQ(mri([](std::byte* v) { v[1] = std::byte{0x80}; }), "10/2 4:0@5") << "N flag";
  EXPECT_EQ(mri([](std::byte* v) { v[2] = std::byte{0x50}; }), "10/1 4:0@6") << "IP version 5";
  EXPECT_EQ(mri([](std::byte* v) { v[2] = std::byte{0x42}; }), "10/2 4:0@6") << "flow label with IPv4";
  EXPECT_EQ(mri([](std::byte* v) { v[2] = std::byte{0x41}; }), "10/2 4:0@7") << "SPI without protocol";
  EXPECT_EQ(mri([](std::byte* v) { v[3] = std::byte{0x80}; }), "10/2 4:0@7") << "source port without protocol";
  EXPECT_EQ(mri([](std::byte* v) { v[3] = std::byte{0x40}; }), "10/2 4:0@7") << "destination port without protocol";
  EXPECT_EQ(mri([](std::byte* v) { v[12] = std::byte{33}; }), "10/2 4:0@16") << "source prefix 33";
  EXPECT_EQ(mri([](std::byte* v) { v[13] = std::byte{33}; }), "10/2 4:0@17") << "destination prefix 33";

  // A word of ports is there, but no flag says so.
  PathCoupledMri with_port = std::get<PathCoupledMri>(sample_mri());
  with_port.protocol = 17;
  with_port.source_port = 5060;
  Message m = sample_query();
  m.mri = with_port;
  EXPECT_EQ(bent(m, ObjectType::kMri, [](std::byte* v) { v[2] = std::byte{0x40}, v[3] = std::byte{0}; }),
            "10/0 4:0@20");
}

TEST(GistMalformed, NliValues) {
  // RFC5971: A.3.3-1
  const auto nli = [](const std::function<void(std::byte*)>& edit) { return bent(sample_query(), ObjectType::kNli, edit); };
  EXPECT_EQ(nli([](std::byte* v) { v[2] = std::byte{0x50}; }), "10/1 4:2@6");
  EXPECT_EQ(nli([](std::byte* v) { std::fill(v + 4, v + 8, std::byte{0}); }), "10/1 4:2@8") << "validity 0";
  EXPECT_EQ(nli([](std::byte* v) { v[0] = std::byte{17}; }), "10/0 4:2@4") << "identity of 17 bytes needs a word more";
  Message odd = sample_query();
  odd.nli->peer_identity.resize(13);
  EXPECT_TRUE(decode_datagram(encode_datagram(odd).value())) << "padded to a word";
}

TEST(GistMalformed, StackValues) {
  // RFC5971: A.3.4-1, A.3.4-2, A.3.4-4, A.3.4-5, A.3.5-1, 5.7.1-2, A.4.4.10-1
  const auto sp = [](const std::function<void(std::byte*)>& e) { return bent(sample_query(), ObjectType::kStackProposal, e); };
  EXPECT_EQ(sp([](std::byte* v) { v[0] = std::byte{0}; }), "10/1 4:3@4");
  EXPECT_EQ(sp([](std::byte* v) { v[4] = std::byte{0}; }), "10/3 4:3@8");
  EXPECT_EQ(sp([](std::byte* v) { v[0] = std::byte{3}; }), "10/0 4:3@16");
  EXPECT_EQ(sp([](std::byte* v) { v[0] = std::byte{1}; }), "10/0 4:3@12");
  const auto scd = [](const std::function<void(std::byte*)>& e) {
    return bent(sample_query(), ObjectType::kStackConfiguration, e);
  };
  EXPECT_EQ(scd([](std::byte* v) { std::fill(v + 4, v + 8, std::byte{0}); }), "10/1 4:4@8") << "hold time 0";
  EXPECT_EQ(scd([](std::byte* v) { v[9] = std::byte{3}; }), "10/5 4:3@4 4:4@4") << "profile 3 of 2";
  EXPECT_EQ(scd([](std::byte* v) { v[8] = std::byte{3}; }), "10/5 4:3@4 4:4@4") << "a protocol not proposed";
  EXPECT_EQ(scd([](std::byte* v) { v[8] = std::byte{2}, v[9] = std::byte{1}; }), "10/5 4:3@4 4:4@4")
      << "TLS is not in profile 1";
}

TEST(GistMalformed, HelloWithoutId) {
  // RFC5971: 5.2.2-9
  Message hello = sample_hello();
  hello.hello_id = 0;
  Parts p = split(hello, Transport::kStream);
  EXPECT_EQ(describe(refused(p, Transport::kStream)), "10/1 4:10@4");
  p.header.reply_requested = false;
  EXPECT_TRUE(decode_message(p.join(), Transport::kStream));
}

TEST(GistMalformed, ErrorObjectCarriesTheContext) {
  // RFC5971: A.4.1-1, A.4.1-2, A.4.4-1
  Parts p = query();
  p.remove(ObjectType::kQueryCookie);
  const DecodeError e = refused(p);
  const ErrorObject o = e.to_object();
  EXPECT_TRUE(o.is(ErrorKind::kMissingObject));
  EXPECT_EQ(o.error_class, 2);
  EXPECT_EQ(o.session, sample_session());
  EXPECT_EQ(o.mri, sample_mri());
  EXPECT_TRUE(o.in_datagram);
  EXPECT_TRUE(o.in_query_mode);
  EXPECT_EQ(o.header, e.header);
  EXPECT_EQ(e.nli, sample_nli());
}

}  // namespace
}  // namespace netserv::gist
