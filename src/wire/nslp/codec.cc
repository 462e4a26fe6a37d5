// version:8 type:8 acted:8 reserved:8 | request id:32 | time left, ms:32 | objects
//
//     request, trigger   COMMAND, HEADER...
//     response           ENTRY..., the node nearest to the sender first; acted and time left are 0
#include "wire/ncm/status.h"
#include "wire/nslp/objects.h"

namespace netserv::nslp {
namespace {

enum class Type : std::uint8_t { kRequest = 1, kResponse = 2, kTrigger = 3 };

struct Head {
  Type type = Type::kRequest;
  std::uint8_t acted = 0;
  std::uint32_t id = 0;
  std::uint32_t time_left = 0;
};

tl::unexpected<Error> too_large(std::string subject) {
  return ncm::refuse(ncm::StatusCode::kTooLarge, std::move(subject), "does not fit in a signalling message");
}
tl::unexpected<Error> bad_message(std::string subject, std::string text) {
  return ncm::refuse(ncm::StatusCode::kSyntax, std::move(subject), std::move(text));
}

void write_head(ByteWriter& out, const Head& head) {
  out.u8(kVersion);
  out.u8(static_cast<std::uint8_t>(head.type));
  out.u8(head.acted);
  out.u8(0);
  out.u32(head.id);
  out.u32(head.time_left);
}

Result<Head> read_head(ByteReader& in) {
  Head head;
  const std::uint8_t version = in.u8(), type = in.u8();
  head.acted = in.u8();
  const std::uint8_t reserved = in.u8();
  head.id = in.u32();
  head.time_left = in.u32();
  if (!in.ok()) return bad_message("message", "is shorter than its header");
  if (version != kVersion) return ncm::refuse(ncm::StatusCode::kVersion, "message", "is of another version");
  if (type < 1 || type > 3 || reserved != 0) return bad_message("message", "is of a type that is not known here");
  head.type = static_cast<Type>(type);
  return head;
}

Status write_foreign(ByteWriter& out, const std::vector<ForeignObject>& objects) {
  if (objects.size() > kMaxForeignObjects) return too_large("foreign objects");
  for (const ForeignObject& o : objects)
    if (!write_object(out, o.type, Extensibility::kForward, o.value)) return too_large("foreign object");
  return {};
}

// What no node of this version knows. Those to be forwarded are kept, those to be ignored are not.
Status take_unknown(const RawObject& object, std::vector<ForeignObject>& kept) {
  if (object.flags == Extensibility::kIgnore) return {};
  if (object.flags != Extensibility::kForward)
    return bad_message("object " + std::to_string(object.type), "must be understood, and is not known here");
  if (kept.size() == kMaxForeignObjects) return too_large("foreign objects");
  kept.push_back({object.type, Bytes(object.value.begin(), object.value.end())});
  return {};
}

// The text's own reader judges names, values and limits, so that both forms accept the same.
Status check_text(const ncm::Message& ncm) {
  auto read = ncm::parse_message(ncm::print_message(ncm));
  if (!read) return fail(read.error());
  if (*read != ncm) return bad_message("NCM", "is not in its usual form");
  return {};
}

bool is(const RawObject& object, ObjectType type) { return object.type == static_cast<std::uint16_t>(type); }

Result<Message> read_request(const Head& head, ByteReader& in) {
  Request out;
  out.trigger = head.type == Type::kTrigger;
  out.acted = head.acted;
  out.id = head.id;
  out.time_left = std::chrono::milliseconds(head.time_left);
  bool commanded = false;
  while (in.remaining() > 0) {
    NETSERV_ASSIGN(RawObject object, read_object(in));
    if (is(object, ObjectType::kCommand)) {
      if (std::exchange(commanded, true)) return bad_message("COMMAND", "is there twice");
      NETSERV_TRY(decode_command(object.value, out.ncm));
    } else if (is(object, ObjectType::kHeader)) {
      if (out.ncm.headers.size() == ncm::kMaxHeaders) return too_large("headers");
      NETSERV_ASSIGN(ncm::Header header, decode_header(object.value));
      out.ncm.headers.push_back(std::move(header));
    } else {
      NETSERV_TRY(is(object, ObjectType::kEntry) ? bad_message("ENTRY", "is no part of a request")
                                                 : take_unknown(object, out.foreign));
    }
  }
  if (!commanded) return bad_message("COMMAND", "is missing");
  NETSERV_TRY(check_text(out.ncm));
  return out;
}

Result<Message> read_response(const Head& head, ByteReader& in) {
  Response out;
  out.id = head.id;
  if (head.acted != 0 || head.time_left != 0) return bad_message("message", "is a response with fields of a request");
  while (in.remaining() > 0) {
    NETSERV_ASSIGN(RawObject object, read_object(in));
    if (is(object, ObjectType::kEntry)) {
      if (out.stack.size() == kMaxEntries) return too_large("response stack");
      NETSERV_ASSIGN(Entry entry, decode_entry(object.value));
      out.stack.push_back(std::move(entry));
    } else {
      const bool misplaced = is(object, ObjectType::kCommand) || is(object, ObjectType::kHeader);
      NETSERV_TRY(misplaced ? bad_message("object", "is no part of a response") : take_unknown(object, out.foreign));
    }
  }
  return out;
}

Status write(ByteWriter& out, const Request& r) {
  NETSERV_TRY(check_text(r.ncm));
  if (r.ncm.verb == ncm::Verb::kTrigger) return bad_message("NCM", "is a TRIGGER inside a message");
  if (r.time_left.count() < 0 || r.time_left.count() > 0xffffffffll) return bad_message("time left", "is out of range");
  write_head(out, {r.trigger ? Type::kTrigger : Type::kRequest, r.acted, r.id, static_cast<std::uint32_t>(r.time_left.count())});
  write_object(out, static_cast<std::uint16_t>(ObjectType::kCommand), Extensibility::kMandatory, encode_command(r.ncm));
  for (const ncm::Header& h : r.ncm.headers)
    if (!write_object(out, static_cast<std::uint16_t>(ObjectType::kHeader), Extensibility::kMandatory, encode_header(h)))
      return too_large(h.name);
  return write_foreign(out, r.foreign);
}

Status write(ByteWriter& out, const Response& r) {
  if (r.stack.size() > kMaxEntries) return too_large("response stack");
  write_head(out, {Type::kResponse, 0, r.id, 0});
  for (const Entry& e : r.stack) {
    if (e.object.size() > 255 || e.text.size() > 255 || e.state.size() > 255 || e.body.size() > kMaxEntryBody)
      return too_large(e.node);
    const Bytes value = encode_entry(e);
    NETSERV_TRY(decode_entry([&] { Bytes padded = value; padded.resize((value.size() + 3) / 4 * 4); return padded; }()));
    if (!write_object(out, static_cast<std::uint16_t>(ObjectType::kEntry), Extensibility::kMandatory, value))
      return too_large(e.node);
  }
  return write_foreign(out, r.foreign);
}

}  // namespace

Result<Bytes> encode(const Message& message) {
  ByteWriter out;
  Status written = std::visit([&](const auto& m) { return write(out, m); }, message);
  if (!written) return fail(written.error());
  if (out.size() > kMaxMessage) return too_large("message");
  return out.take();
}

Result<Message> decode(ByteSpan payload) {
  if (payload.size() > kMaxMessage) return too_large("message");
  ByteReader in(payload);
  NETSERV_ASSIGN(Head head, read_head(in));
  return head.type == Type::kResponse ? read_response(head, in) : read_request(head, in);
}

}  // namespace netserv::nslp
