// Encoding of our own messages between processes. A message is a plain struct with
//     template <class A> void fields(A& a) { a(id, name, prefixes); }
// which serves both directions: Encoder writes the fields in that order, Decoder reads them back. Integers are
// big-endian, strings and lists carry a 32-bit count. Decoding bounds every count by the bytes that are left,
// so a hostile peer cannot make it allocate more than a small multiple of what it sent.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/strong_id.h"
#include "wire/filter.h"
#include "wire/ip/address.h"

namespace netserv::ipc {

class Encoder {
 public:
  template <class... T>
  void operator()(T&... values) {
    (put(values), ...);
  }
  Bytes take() { return out_.take(); }

 private:
  template <class T>
    requires(std::integral<T> || std::is_enum_v<T>)
  void put(const T& v) {
    auto wide = static_cast<std::uint64_t>(v);
    if constexpr (sizeof(T) == 1) out_.u8(static_cast<std::uint8_t>(wide));
    if constexpr (sizeof(T) == 2) out_.u16(static_cast<std::uint16_t>(wide));
    if constexpr (sizeof(T) == 4) out_.u32(static_cast<std::uint32_t>(wide));
    if constexpr (sizeof(T) == 8) out_.u64(wide);
  }
  void put(const std::string& v) {
    out_.u32(static_cast<std::uint32_t>(v.size()));
    out_.text(v);
  }
  void put(const Bytes& v) {
    out_.u32(static_cast<std::uint32_t>(v.size()));
    out_.bytes(v);
  }
  template <class Tag, class Rep>
  void put(const StrongId<Tag, Rep>& v) {
    put(v.value());
  }
  void put(const IpAddress& v) {
    out_.u8(v.is_v4() ? 4 : 6);
    out_.bytes(v.bytes());
  }
  void put(const Prefix& v) {
    put(v.address());
    out_.u8(static_cast<std::uint8_t>(v.length()));
  }
  void put(const Filter& v) {
    put(v.protocol);
    put(v.destination_port);
    put(v.source);
    put(v.destination);
  }
  template <class T>
  void put(const std::optional<T>& v) {
    out_.u8(v ? 1 : 0);
    if (v) put(*v);
  }
  template <class T>
  void put(const std::vector<T>& v) {
    out_.u32(static_cast<std::uint32_t>(v.size()));
    for (const T& element : v) put(element);
  }
  template <class K, class V>
  void put(const std::map<K, V>& v) {
    out_.u32(static_cast<std::uint32_t>(v.size()));
    for (const auto& [key, value] : v) {
      put(key);
      put(value);
    }
  }
  template <class T>
    requires requires(T& t, Encoder& e) { t.fields(e); }
  void put(const T& v) {
    const_cast<T&>(v).fields(*this);  // fields() only hands out references; encoding does not write
  }

  ByteWriter out_;
};

class Decoder {
 public:
  explicit Decoder(ByteSpan bytes) : in_(bytes) {}
  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  bool at_end() const { return in_.at_end(); }

 private:
  template <class T>
    requires(std::integral<T> && !std::same_as<T, bool>)
  void get(T& v) {
    if constexpr (sizeof(T) == 1) v = static_cast<T>(in_.u8());
    if constexpr (sizeof(T) == 2) v = static_cast<T>(in_.u16());
    if constexpr (sizeof(T) == 4) v = static_cast<T>(in_.u32());
    if constexpr (sizeof(T) == 8) v = static_cast<T>(in_.u64());
  }
  void get(bool& v) {
    std::uint8_t raw = in_.u8();
    if (raw > 1) in_.set_failed();
    v = raw == 1;
  }
  // An enum that travels has a constant kLast beside it: `constexpr E last_value(E)`, found by ADL.
  template <class T>
    requires std::is_enum_v<T>
  void get(T& v) {
    std::underlying_type_t<T> raw{};
    get(raw);
    if (raw > static_cast<std::underlying_type_t<T>>(last_value(T{}))) {
      in_.set_failed();
      raw = 0;
    }
    v = static_cast<T>(raw);
  }
  void get(std::string& v) { v = std::string(in_.text(in_.u32())); }
  void get(Bytes& v) {
    ByteSpan raw = in_.take(in_.u32());
    v.assign(raw.begin(), raw.end());
  }
  template <class Tag, class Rep>
  void get(StrongId<Tag, Rep>& v) {
    get(v.mutable_value());
  }
  void get(IpAddress& v) {
    std::uint8_t family = in_.u8();
    if (family != 4 && family != 6) in_.set_failed();
    v = IpAddress::from_bytes(in_.take(family == 6 ? 16 : 4));
  }
  void get(Prefix& v) {
    IpAddress address;
    get(address);
    std::uint8_t length = in_.u8();
    if (length > address.bits()) in_.set_failed();
    v = Prefix(address, length);
  }
  void get(Filter& v) {
    get(v.protocol);
    get(v.destination_port);
    get(v.source);
    get(v.destination);
  }
  template <class T>
  void get(std::optional<T>& v) {
    bool present = false;
    get(present);
    v.reset();
    if (present) get(v.emplace());
  }
  // Every element takes at least one byte.
  std::uint32_t count() {
    std::uint32_t n = in_.u32();
    if (n > in_.remaining()) in_.set_failed();
    return in_.ok() ? n : 0;
  }
  template <class T>
  void get(std::vector<T>& v) {
    v.clear();
    for (std::uint32_t n = count(); n > 0 && in_.ok(); --n) get(v.emplace_back());
  }
  template <class K, class V>
  void get(std::map<K, V>& v) {
    v.clear();
    for (std::uint32_t n = count(); n > 0 && in_.ok(); --n) {
      K key{};
      get(key);
      get(v[std::move(key)]);
    }
  }
  template <class T>
    requires requires(T& t, Decoder& d) { t.fields(d); }
  void get(T& v) {
    v.fields(*this);
  }

  ByteReader in_;
};

// Message = std::variant of structs. On the wire: the alternative's index in two bytes, then its fields.
template <class Variant>
Bytes encode(const Variant& message) {
  Encoder encoder;
  auto kind = static_cast<std::uint16_t>(message.index());
  encoder(kind);
  std::visit([&](const auto& m) { encoder(m); }, message);
  return encoder.take();
}

template <class Variant, std::size_t I = 0>
Result<Variant> decode_alternative(std::uint16_t kind, Decoder& decoder) {
  if constexpr (I == std::variant_size_v<Variant>) {
    return fail(Origin::kPeer, "message " + std::to_string(kind), "unknown kind");
  } else {
    if (kind != I) return decode_alternative<Variant, I + 1>(kind, decoder);
    std::variant_alternative_t<I, Variant> value{};
    decoder(value);
    if (!decoder.at_end())
      return fail(Origin::kPeer, "message " + std::to_string(kind), "wrong length or field out of range");
    return Variant(std::in_place_index<I>, std::move(value));
  }
}

template <class Variant>
Result<Variant> decode(ByteSpan bytes) {
  Decoder decoder(bytes);
  std::uint16_t kind = 0xffff;
  decoder(kind);
  return decode_alternative<Variant>(kind, decoder);
}

}  // namespace netserv::ipc
