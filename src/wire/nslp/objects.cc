#include "wire/nslp/objects.h"

#include <algorithm>
#include <array>

#include "wire/ncm/selection.h"
#include "wire/ncm/status.h"
#include "wire/nslp/compact.h"

namespace netserv::nslp {
namespace {

// Headers that travel as a number. Places in the list are on the wire: add at the end of a new protocol version only.
// Headers of later NCM versions travel by name, so that every node can give them to its controller.
constexpr std::array<std::string_view, 18> kHeaderCodes = {
    "",           "url",        "digest", "ttl",   "dependencies", "filter-proto", "filter-port", "filter-src", "filter-dst",
    "properties", "notification", "probe",  "user",  "nonce",        "expires",      "toward",      "signature",  "nodes"};

tl::unexpected<Error> bad(std::string_view object, std::string text) {
  return ncm::refuse(ncm::StatusCode::kSyntax, std::string(object), std::move(text));
}

// What is left must be the padding to whole words.
Status expect_padding(ByteReader& in, std::string_view object) {
  const std::size_t left = in.remaining();
  if (!in.ok() || left > 3) return bad(object, "has a wrong length");
  const ByteSpan padding = in.rest();
  if (std::any_of(padding.begin(), padding.end(), [](std::byte b) { return b != std::byte{0}; }))
    return bad(object, "has padding that is not zero");
  return {};
}

bool is_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7f;
  });
}

}  // namespace

Result<RawObject> read_object(ByteReader& in) {
  const std::uint16_t first = in.u16(), second = in.u16();
  RawObject out;
  out.type = first & 0xfff;
  out.flags = static_cast<Extensibility>(first >> 14);
  out.value = in.take(std::size_t{4} * (second & 0xfff));
  if (!in.ok()) return bad("object", "reaches over the end of the message");
  if ((first & 0x3000) != 0 || (second & 0xf000) != 0) return bad("object", "has reserved bits set");
  return out;
}

bool write_object(ByteWriter& out, std::uint16_t type, Extensibility flags, Bytes value) {
  value.resize((value.size() + 3) / 4 * 4);
  if (value.size() / 4 > 0xfff) return false;
  out.u16(static_cast<std::uint16_t>(static_cast<unsigned>(flags) << 14 | type));
  out.u16(static_cast<std::uint16_t>(value.size() / 4));
  out.bytes(value);
  return true;
}

// verb:8 reserved:8 id length:16, id
Bytes encode_command(const ncm::Message& ncm) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(ncm.verb));
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(ncm.object.size()));
  out.text(ncm.object);
  return out.take();
}

Status decode_command(ByteSpan value, ncm::Message& out) {
  ByteReader in(value);
  const std::uint8_t verb = in.u8(), reserved = in.u8();
  out.object = in.text(in.u16());
  NETSERV_TRY(expect_padding(in, "COMMAND"));
  if (verb >= static_cast<std::uint8_t>(ncm::Verb::kTrigger) || reserved != 0) return bad("COMMAND", "is not known here");
  out.verb = static_cast<ncm::Verb>(verb);
  return {};
}

// code:8 form:8 value length:16, [name length:8 name] if the code is 0, value
Bytes encode_header(const ncm::Header& header) {
  const auto known = std::find(kHeaderCodes.begin() + 1, kHeaderCodes.end(), header.name);
  const bool by_name = known == kHeaderCodes.end();
  const CompactValue value = compact(header.value);
  ByteWriter out;
  out.u8(by_name ? 0 : static_cast<std::uint8_t>(known - kHeaderCodes.begin()));
  out.u8(static_cast<std::uint8_t>(value.form));
  out.u16(static_cast<std::uint16_t>(value.bytes.size()));
  if (by_name) {
    out.u8(static_cast<std::uint8_t>(header.name.size()));
    out.text(header.name);
  }
  out.bytes(value.bytes);
  return out.take();
}

Result<ncm::Header> decode_header(ByteSpan value) {
  ByteReader in(value);
  const std::uint8_t code = in.u8(), form = in.u8();
  const std::uint16_t length = in.u16();
  ncm::Header out;
  if (code >= kHeaderCodes.size()) return bad("HEADER", "has an unknown code");
  out.name = code == 0 ? std::string(in.text(in.u8())) : std::string(kHeaderCodes[code]);
  const ByteSpan bytes = in.take(length);
  NETSERV_TRY(expect_padding(in, "HEADER"));
  if (code == 0 && std::find(kHeaderCodes.begin(), kHeaderCodes.end(), out.name) != kHeaderCodes.end())
    return bad("HEADER", "has a name instead of a code");
  auto text = expand(form, bytes);
  if (!text) return bad(out.name, "has a form that is not known or not its shortest");
  out.value = std::move(*text);
  return out;
}

// class:8 flags:8 code:16 residence:32 wait:32 family:8 node:8 object:8 text:8 state:8 reserved:8 body:16 (lengths),
// address, node, object, text, state, body. Flags: 1 the body was left out.
Bytes encode_entry(const Entry& e) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(ncm::class_of(e.code)));
  out.u8(e.body_left_out ? 1 : 0);
  out.u16(static_cast<std::uint16_t>(e.code));
  out.u32(e.residence.count());
  out.u32(e.wait.count());
  out.u8(e.address.is_v4() ? 4 : 6);
  for (const std::string* s : {&e.node, &e.object, &e.text, &e.state}) out.u8(static_cast<std::uint8_t>(s->size()));
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(e.body.size()));
  out.bytes(e.address.bytes());
  for (const std::string* s : {&e.node, &e.object, &e.text, &e.state, &e.body}) out.text(*s);
  return out.take();
}

Result<Entry> decode_entry(ByteSpan value) {
  ByteReader in(value);
  Entry e;
  const std::uint8_t status_class = in.u8(), flags = in.u8();
  const std::uint16_t code = in.u16();
  e.residence = Microseconds(in.u32());
  e.wait = Microseconds(in.u32());
  const std::uint8_t family = in.u8();
  const std::uint8_t node = in.u8(), object = in.u8(), text = in.u8(), state = in.u8(), reserved = in.u8();
  const std::uint16_t body = in.u16();
  e.address = IpAddress::from_bytes(in.take(family == 6 ? 16 : 4));
  e.node = in.text(node);
  e.object = in.text(object);
  e.text = in.text(text);
  e.state = in.text(state);
  e.body = in.text(body);
  NETSERV_TRY(expect_padding(in, "ENTRY"));
  if (status_class < 1 || status_class > 6 || code / 100 != status_class)
    return bad("ENTRY", "has a class and a code that do not fit");
  if ((family != 4 && family != 6) || flags > 1 || reserved != 0) return bad("ENTRY", "has an unknown flag or family");
  if (!ncm::is_node_name(e.node)) return bad("ENTRY", "names no node");
  if (!is_line(e.object) || !is_line(e.text) || !is_line(e.state)) return bad("ENTRY", "holds control characters");
  if (e.body.size() > kMaxEntryBody || (e.body_left_out = flags == 1, e.body_left_out && !e.body.empty()))
    return bad("ENTRY", "has a body that it should not have");
  e.code = static_cast<ncm::StatusCode>(code);
  return e;
}

}  // namespace netserv::nslp
