#include "wire/gist/object_walk.h"

#include <algorithm>

namespace netserv::gist {
namespace {

Bytes copy(ByteSpan value) { return Bytes(value.begin(), value.end()); }

MaybeFault decode_session(ByteSpan value, SessionId& out) {
  if (value.size() != out.bytes.size()) return wrong_length();
  std::copy(value.begin(), value.end(), out.bytes.begin());
  return {};
}

MaybeFault decode_hello(ByteSpan value, std::uint32_t& out) {
  if (value.size() != 4) return wrong_length();
  out = ByteReader(value).u32();
  return {};
}

// An empty cookie could not be told from another empty one.
MaybeFault decode_cookie(ByteSpan value, Bytes& out) {
  if (value.empty()) return wrong_length();
  out = copy(value);
  return {};
}

}  // namespace

bool next_object(ByteReader& in, RawObject& out) {
  const ByteReader start = in;
  const std::uint16_t first = in.u16();
  const std::size_t size = (in.u16() & 0x0fff) * 4u;
  out.extensibility = static_cast<Extensibility>(first >> 14);
  out.type = first & 0x0fff;
  const bool fits = in.ok() && size <= in.remaining();
  out.value = in.take(std::min(size, in.remaining()));
  ByteReader again = start;
  out.whole = again.take(std::min(again.remaining(), out.value.size() + 4));
  return fits;
}

MaybeFault decode_object(const RawObject& object, Message& m) {
  switch (static_cast<ObjectType>(object.type)) {
    case ObjectType::kMri: return decode_mri(object.value, m.mri.emplace());
    case ObjectType::kSessionId: return decode_session(object.value, m.session.emplace());
    case ObjectType::kNli: return decode_nli(object.value, m.nli.emplace());
    case ObjectType::kStackProposal: return decode_stack_proposal(object.value, m.stack_proposal.emplace());
    case ObjectType::kStackConfiguration:
      return decode_stack_configuration(object.value, m.stack_configuration.emplace());
    case ObjectType::kQueryCookie: return decode_cookie(object.value, m.query_cookie.emplace());
    case ObjectType::kResponderCookie: return decode_cookie(object.value, m.responder_cookie.emplace());
    case ObjectType::kNatTraversal: return decode_nat_traversal(object.value, m.nat_traversal.emplace());
    case ObjectType::kNslpData: m.nslp_data = copy(object.value); return {};
    case ObjectType::kError: return decode_error_object(object.value, m.error.emplace());
    case ObjectType::kHelloId: return decode_hello(object.value, m.hello_id.emplace());
  }
  return wrong_length();
}

bool has_object(const Message& m, ObjectType type) {
  switch (type) {
    case ObjectType::kMri: return m.mri.has_value();
    case ObjectType::kSessionId: return m.session.has_value();
    case ObjectType::kNli: return m.nli.has_value();
    case ObjectType::kStackProposal: return m.stack_proposal.has_value();
    case ObjectType::kStackConfiguration: return m.stack_configuration.has_value();
    case ObjectType::kQueryCookie: return m.query_cookie.has_value();
    case ObjectType::kResponderCookie: return m.responder_cookie.has_value();
    case ObjectType::kNatTraversal: return m.nat_traversal.has_value();
    case ObjectType::kNslpData: return m.nslp_data.has_value();
    case ObjectType::kError: return m.error.has_value();
    case ObjectType::kHelloId: return m.hello_id.has_value();
  }
  return false;
}

void encode_object_header(ByteWriter& out, Extensibility ab, std::uint16_t type, std::size_t words) {
  out.u16(static_cast<std::uint16_t>(static_cast<unsigned>(ab) << 14 | (type & 0x0fff)));
  out.u16(static_cast<std::uint16_t>(words));
}

bool encode_object(ByteWriter& out, ObjectType type, const Message& m) {
  const std::size_t start = out.size();
  encode_object_header(out, Extensibility::kMandatory, static_cast<std::uint16_t>(type), 0);
  switch (type) {
    case ObjectType::kMri: encode_mri(out, *m.mri); break;
    case ObjectType::kSessionId: out.bytes(m.session->bytes); break;
    case ObjectType::kNli: encode_nli(out, *m.nli); break;
    case ObjectType::kStackProposal: encode_stack_proposal(out, *m.stack_proposal); break;
    case ObjectType::kStackConfiguration: encode_stack_configuration(out, *m.stack_configuration); break;
    case ObjectType::kQueryCookie: out.bytes(*m.query_cookie); break;
    case ObjectType::kResponderCookie: out.bytes(*m.responder_cookie); break;
    case ObjectType::kNatTraversal: encode_nat_traversal(out, *m.nat_traversal); break;
    case ObjectType::kNslpData: out.bytes(*m.nslp_data); break;
    case ObjectType::kError: encode_error_object(out, *m.error); break;
    case ObjectType::kHelloId: out.u32(*m.hello_id); break;
  }
  const std::size_t size = out.size() - start - 4;
  if (size % 4 != 0 || size / 4 > kMaxObjectWords) return false;
  out.patch_u16(start + 2, static_cast<std::uint16_t>(size / 4));
  return true;
}

}  // namespace netserv::gist
