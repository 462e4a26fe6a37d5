#include <utility>

#include "wire/gist/message.h"
#include "wire/gist/object_walk.h"

namespace netserv::gist {
namespace {

// What the walk finds wrong; the rest of a DecodeError is gathered only then.
struct Refusal {
  ErrorKind kind;
  std::vector<ErrorInfo> info;
};
using MaybeRefusal = std::optional<Refusal>;

MaybeRefusal refuse(ErrorKind kind) { return Refusal{kind, {}}; }
MaybeRefusal refuse_type(ErrorKind kind, std::uint16_t type) { return Refusal{kind, {object_type_info(type)}}; }
MaybeRefusal refuse_type(ErrorKind kind, ObjectType type) {
  return refuse_type(kind, static_cast<std::uint16_t>(type));
}
// The object in an error is padded to whole words only if the datagram itself was cut short.
MaybeRefusal refuse_value(const ObjectFault& fault, ByteSpan object) {
  return Refusal{fault.kind, {object_value_info(object, fault.offset)}};
}

// Words of all objects, as far as they can be followed: what A.4.4.1 calls the calculated length.
std::uint16_t calculated_words(ByteSpan objects) {
  ByteReader in(objects);
  std::size_t words = 0;
  while (in.remaining() >= 4) {
    ByteReader head = in;
    head.skip(2);
    words += 1 + (head.u16() & 0x0fffu);
    RawObject object;
    if (!next_object(in, object)) break;
  }
  return static_cast<std::uint16_t>(std::min<std::size_t>(words, kMaxMessageWords));
}

MaybeRefusal refuse_length(ByteSpan objects) {
  return Refusal{ErrorKind::kIncorrectMessageLength, {message_length_info(calculated_words(objects))}};
}

// A.1 and A.4.4.1, in the order of the subcodes; then 5.5.
MaybeRefusal check_header(const CommonHeader& h, ByteSpan objects, Transport transport) {
  if (h.version != kVersion) return refuse(ErrorKind::kUnknownVersion);
  if (h.type >= kMessageTypes) return refuse(ErrorKind::kUnknownType);
  const MessageType type = h.message_type();
  const bool reply_may_be = type == MessageType::kResponse || type == MessageType::kMaHello;
  if (type == MessageType::kQuery ? !h.reply_requested : h.reply_requested && !reply_may_be)
    return refuse(ErrorKind::kInvalidRFlag);
  if (objects.size() != h.length * 4u) return refuse_length(objects);
  if (h.explicitly_routed && type != MessageType::kData) return refuse(ErrorKind::kInvalidEFlag);
  const bool context_free_data = type == MessageType::kData && transport == Transport::kDatagram;
  if (type == MessageType::kQuery ? !h.context_free : h.context_free && !context_free_data)
    return refuse(ErrorKind::kInvalidCFlag);
  if (!kGrammar[h.type].allowed_in(transport)) return refuse(ErrorKind::kIncorrectEncapsulation);
  return {};
}

// Follows one message's objects along its row of the grammar.
class Walk {
 public:
  Walk(const MessageRow& row, Transport transport, Message& message)
      : row_(row), transport_(transport), message_(message) {}

  MaybeRefusal run(ByteSpan objects) {
    ByteReader in(objects);
    while (!in.at_end()) {
      RawObject object;
      if (!next_object(in, object)) return refuse_length(objects);
      if (auto refusal = take(object)) return refusal;
    }
    return check_complete();
  }

 private:
  MaybeRefusal take(const RawObject& object) {
    if (object.extensibility == Extensibility::kReserved)
      return refuse_type(ErrorKind::kInvalidExtensibilityFlags, object.type);
    if (object.type >= kObjectTypes) return take_unknown(object);
    const auto type = static_cast<ObjectType>(object.type);
    if (seen_ & bit(type)) return refuse_type(ErrorKind::kDuplicateObject, type);
    const std::size_t at = find(type);
    if (at == row_.slots.size()) return refuse_type(ErrorKind::kInvalidObjectType, type);
    for (; next_ < at; ++next_)
      if (row_.slots[next_].in(transport_) == Presence::kRequired)
        return refuse_type(ErrorKind::kMissingObject, row_.slots[next_].type);
    if (at < next_) return refuse_type(ErrorKind::kInvalidObjectType, type);  // known, but its turn is over
    next_ = at + 1;
    seen_ |= bit(type);
    ++count_;
    if (type == ObjectType::kStackProposal) stack_proposal_ = object.whole;
    if (type == ObjectType::kStackConfiguration) stack_configuration_ = object.whole;
    if (auto fault = decode_object(object, message_)) return refuse_value(*fault, object.whole);
    return {};
  }

  MaybeRefusal take_unknown(const RawObject& object) {
    switch (object.extensibility) {
      case Extensibility::kIgnore: return {};
      case Extensibility::kForward:
        message_.forwarded.push_back({object.type, count_, Bytes(object.value.begin(), object.value.end())});
        return {};
      case Extensibility::kMandatory:
      case Extensibility::kReserved: break;
    }
    return refuse_type(ErrorKind::kUnrecognisedObject, object.type);
  }

  std::size_t find(ObjectType type) const {
    std::size_t at = 0;
    while (at < row_.slots.size() &&
           (row_.slots[at].type != type || row_.slots[at].in(transport_) == Presence::kForbidden))
      ++at;
    return at;
  }

  MaybeRefusal check_complete() const {
    for (const ObjectSlot& slot : row_.slots) {
      const bool there = seen_ & bit(slot.type);
      if (!there && slot.in(transport_) == Presence::kRequired)
        return refuse_type(ErrorKind::kMissingObject, slot.type);
      const unsigned missing = there ? slot.needs & ~seen_ : 0u;
      for (unsigned t = 0; t < kObjectTypes; ++t)
        if (missing >> t & 1) return refuse_type(ErrorKind::kMissingObject, static_cast<ObjectType>(t));
    }
    if (message_.type() == MessageType::kResponse && message_.responder_cookie && !message_.header.reply_requested)
      return refuse(ErrorKind::kInvalidRFlag);
    if (message_.type() == MessageType::kMaHello && message_.header.reply_requested && *message_.hello_id == 0) {
      ByteWriter hello;
      (void)encode_object(hello, ObjectType::kHelloId, message_);
      return refuse_value({ErrorKind::kValueNotSupported, 4}, hello.view());
    }
    if (message_.stack_proposal && message_.stack_configuration &&
        !consistent(*message_.stack_proposal, *message_.stack_configuration))
      return Refusal{ErrorKind::kStackMismatch,
                     {object_value_info(stack_proposal_, 4), object_value_info(stack_configuration_, 4)}};
    return {};
  }

  const MessageRow& row_;
  Transport transport_;
  Message& message_;
  ByteSpan stack_proposal_, stack_configuration_;
  std::uint16_t seen_ = 0;
  std::size_t next_ = 0;
  std::uint8_t count_ = 0;
};

// Whatever identifies the message and its sender, wherever it stands.
void salvage(ByteSpan objects, DecodeError& error) {
  ByteReader in(objects);
  RawObject object;
  while (in.remaining() >= 4 && next_object(in, object)) {
    Message m;
    if (object.type >= kObjectTypes || decode_object(object, m)) continue;
    if (!error.mri) error.mri = m.mri;
    if (!error.session) error.session = m.session;
    if (!error.nli) error.nli = m.nli;
    if (!error.nat_traversal) error.nat_traversal = m.nat_traversal;
  }
}

}  // namespace

DecodeResult decode_message(ByteSpan bytes, Transport transport) {
  ByteReader in(bytes);
  Message message;
  message.header = decode_header(in);
  if (!in.ok()) {
    DecodeError silent;
    silent.transport = transport;
    return tl::unexpected(std::move(silent));
  }
  const ByteSpan objects = in.rest();
  MaybeRefusal refusal = check_header(message.header, objects, transport);
  if (!refusal) refusal = Walk(kGrammar[message.header.type], transport, message).run(objects);
  if (!refusal) return message;

  DecodeError error;
  error.kind = refusal->kind;
  error.info = std::move(refusal->info);
  error.transport = transport;
  error.header = message.header;
  error.answerable = message.type() != MessageType::kError;
  salvage(objects, error);
  return tl::unexpected(std::move(error));
}

bool has_magic(ByteSpan payload) { return ByteReader(payload).u32() == kMagic; }

DecodeResult decode_datagram(ByteSpan payload) {
  if (!has_magic(payload)) return tl::unexpected(DecodeError{});
  return decode_message(payload.subspan(4), Transport::kDatagram);
}

ErrorObject DecodeError::to_object() const {
  const ErrorRow& row = row_of(kind);
  ErrorObject e;
  e.error_class = static_cast<std::uint8_t>(row.error_class);
  e.code = code_of(kind);
  e.subcode = subcode_of(kind);
  e.in_datagram = transport == Transport::kDatagram;
  e.in_query_mode = e.in_datagram && header.context_free;
  e.header = header;
  if (e.code != 1) {
    e.session = session;
    e.mri = mri;
  }
  e.info = info;
  return e;
}

}  // namespace netserv::gist
