#include "wire/gist/error_object.h"

#include <algorithm>

namespace netserv::gist {
namespace {

constexpr std::uint16_t kHasSession = 0x8000, kHasMri = 0x4000, kHasComment = 0x2000, kDatagram = 0x1000,
                        kQueryMode = 0x0800;

ErrorInfo number_info(InfoType type, std::uint16_t number) {
  ByteWriter out;
  out.u16(number);
  out.u16(0);
  return {static_cast<std::uint16_t>(type), out.take()};
}

}  // namespace

ErrorInfo message_length_info(std::uint16_t words) { return number_info(InfoType::kMessageLength, words); }
ErrorInfo mtu_info(std::uint16_t bytes) { return number_info(InfoType::kMtu, bytes); }
ErrorInfo object_type_info(std::uint16_t type) { return number_info(InfoType::kObjectType, type); }

ErrorInfo object_value_info(ByteSpan object, std::uint16_t offset) {
  ByteWriter out;
  out.u16(static_cast<std::uint16_t>(std::min<std::size_t>(object.size() / 4, 0xfff)));
  out.u16(offset);
  out.bytes(object);
  return {static_cast<std::uint16_t>(InfoType::kObjectValue), out.take()};
}

std::optional<std::uint16_t> number_in(const ErrorInfo& info) {
  if (info.type == static_cast<std::uint16_t>(InfoType::kObjectValue) || info.value.size() != 4) return std::nullopt;
  return ByteReader(info.value).u16();
}

std::optional<ObjectValueInfo> object_in(const ErrorInfo& info) {
  if (info.type != static_cast<std::uint16_t>(InfoType::kObjectValue)) return std::nullopt;
  ByteReader in(info.value);
  in.skip(2);
  ObjectValueInfo out;
  out.offset = in.u16();
  if (!in.ok()) return std::nullopt;
  const ByteSpan object = in.rest();
  out.object.assign(object.begin(), object.end());
  return out;
}

MaybeFault decode_error_object(ByteSpan value, ErrorObject& out) {
  ByteReader in(value);
  out.error_class = in.u8();
  out.code = in.u16();
  out.subcode = in.u8();
  const std::uint16_t flags = in.u16();
  const std::size_t mri_size = in.u8() * 4u;
  const std::uint8_t infos = in.u8();
  out.header = decode_header(in);
  if (!in.ok()) return wrong_length();
  out.in_datagram = flags & kDatagram;
  out.in_query_mode = flags & kQueryMode;
  if (flags & kHasSession) {
    const ByteSpan id = in.take(16);
    if (!in.ok()) return wrong_length(16);
    std::copy(id.begin(), id.end(), out.session.emplace().bytes.begin());
  }
  if (flags & kHasMri) {
    const std::size_t at = in.position();
    const ByteSpan mri = in.take(mri_size);
    if (!in.ok()) return wrong_length(at);
    if (auto fault = decode_mri(mri, out.mri.emplace())) {
      fault->offset = static_cast<std::uint16_t>(fault->offset + at);
      return fault;
    }
  } else if (mri_size != 0) {
    return wrong_length(6);
  }
  out.info.clear();
  for (unsigned i = 0; i < infos; ++i) {
    const std::size_t at = in.position();
    const std::uint16_t type = in.u16();
    const ByteSpan data = in.take(in.u16() * 4u);
    if (!in.ok()) return wrong_length(at);
    out.info.push_back({type, Bytes(data.begin(), data.end())});
  }
  out.comment.clear();
  if (flags & kHasComment) {
    const std::string_view text = as_text(in.rest());
    const std::size_t end = text.find('\0');
    if (end == std::string_view::npos) return wrong_length(in.position());
    out.comment = text.substr(0, end);
  }
  if (!in.at_end()) return wrong_length(in.position());
  return {};
}

void encode_error_object(ByteWriter& out, const ErrorObject& e) {
  ByteWriter mri;
  if (e.mri) encode_mri(mri, *e.mri);
  out.u8(e.error_class);
  out.u16(e.code);
  out.u8(e.subcode);
  out.u16(static_cast<std::uint16_t>((e.session ? kHasSession : 0) | (e.mri ? kHasMri : 0) |
                                     (e.comment.empty() ? 0 : kHasComment) | (e.in_datagram ? kDatagram : 0) |
                                     (e.in_query_mode ? kQueryMode : 0)));
  out.u8(static_cast<std::uint8_t>(mri.size() / 4));
  out.u8(static_cast<std::uint8_t>(e.info.size()));
  encode_header(out, e.header);
  if (e.session) out.bytes(e.session->bytes);
  out.bytes(mri.view());
  for (const ErrorInfo& info : e.info) {
    out.u16(info.type);
    out.u16(static_cast<std::uint16_t>(info.value.size() / 4));
    out.bytes(info.value);
  }
  if (!e.comment.empty()) {
    out.text(e.comment);
    out.zeros(4 - e.comment.size() % 4);  // at least the terminating NUL
  }
}

}  // namespace netserv::gist
