// The C++ face of the SDK: no exceptions, no run-time type information, no standard library.
//
//   class Hello {
//    public:
//     void on_packet(netserv::guest::Packet& p) { if (p.size() > 8 && p.data()[8] == 1) p.drop(); }
//   };
//   NETSERV_MANIFEST({"name": "hello", "version": "1.0.0", "abi": 1, "kind": ["packet"], "blocks": []})
//   NETSERV_PACKET_MODULE_CLASS(Hello)
//
// A module is one class with a constructor that needs no argument. Of these members it has those it wants:
//   int  on_start()                     0, or a code of its own that makes the installation fail
//   void on_packet(Packet&)             with NETSERV_PACKET_MODULE_CLASS
//   void on_timer(uint32_t id)          a timer went off
//   void on_readable(int32_t handle)    a UDP socket has something to read
//   void on_properties()                the properties have been replaced
//   void on_stop()                      about to be removed
// Calls come one after the other on one thread. Link with clang++; see sdk/README.md for the flags, or use
// `netserv module build`.
#ifndef NETSERV_MODULE_HPP
#define NETSERV_MODULE_HPP

#include "netserv/address.h"
#include "netserv/headers.h"
#include "netserv/module.h"
#include "netserv/text.hpp"

namespace netserv::guest {

// A packet of the batch: view it, change it, judge it. Valid only within on_packet(). Without a verdict it passes.
class Packet {
 public:
  // `data` is netserv_data(&raw).
  Packet(netserv_packet& raw, uint8_t* data) : raw_(raw), data_(data) {}
  Packet(const Packet&) = delete;
  Packet& operator=(const Packet&) = delete;

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  uint32_t size() const { return raw_.length; }
  uint32_t capacity() const { return raw_.capacity; }  // bytes that may be written from data() on
  uint32_t original_size() const { return raw_.original_length; }
  uint64_t received_ns() const { return raw_.received_ns; }
  uint16_t ingress() const { return raw_.ingress; }
  bool is_copy() const { return raw_.flags & NETSERV_FLAG_COPY; }  // for an observer: verdicts have no effect
  uint32_t lost() const { return raw_.lost; }  // copies that did not come before this one
  bool is_truncated() const { return raw_.flags & NETSERV_FLAG_TRUNCATED; }

  // Views of the headers; false if there is no such header. See netserv/headers.h.
  bool ip(netserv_ip& out) const { return netserv_parse_ip(data_, raw_.length, &out); }

  void drop() { raw_.verdict = NETSERV_DROP; }
  void steal() { raw_.verdict = NETSERV_STEAL; }
  // The bytes were changed in place; `size` of them count now, at most capacity().
  void changed(uint32_t size) {
    raw_.changed = 1;
    raw_.new_length = size;
  }
  // The bytes now hold the answer, to be sent back the way the packet came.
  void reply(uint32_t size) {
    changed(size);
    raw_.verdict = NETSERV_REPLY;
  }

 private:
  netserv_packet& raw_;
  uint8_t* data_;
};

// A property's value as it was when this was made, cut to N characters.
template <uint32_t N>
class Property {
 public:
  explicit Property(Text key) {
    int32_t length = netserv_properties_get(key.data, key.size, value_, N);
    exists_ = length >= 0;
    too_long_ = length > static_cast<int32_t>(N);
    size_ = !exists_ ? 0 : too_long_ ? N : static_cast<uint32_t>(length);
  }
  bool exists() const { return exists_; }
  bool too_long() const { return too_long_; }
  Text text() const { return {value_, size_}; }

 private:
  char value_[N];
  uint32_t size_ = 0;
  bool exists_ = false;
  bool too_long_ = false;
};

inline void log(uint32_t level, Text text) { netserv_log_write(level, text.data, text.size); }
inline void count(Text name, uint64_t n) { (void)netserv_counters_add(name.data, name.size, n); }
// Ids 0..63. False if the node refuses.
inline bool set_timer_ms(uint32_t id, uint64_t after, uint64_t repeat) {
  return netserv_timer_set(id, after * 1'000'000, repeat * 1'000'000) == 0;
}

// A datagram socket in the container's network namespace; closed with its owner.
class UdpSocket {
 public:
  UdpSocket() = default;
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  ~UdpSocket() { close(); }

  // `family` 4 or 6, `local_port` 0 for any. 0 or a negative errno; what was open is closed.
  int32_t open(uint8_t family, uint16_t local_port) {
    close();
    int32_t handle = netserv_udp_open(family, local_port);
    if (handle < 0) return handle;
    handle_ = handle;
    open_ = true;
    return 0;
  }
  bool is_open() const { return open_; }
  int32_t handle() const { return handle_; }
  // Bytes sent or a negative errno, -EAGAIN (-11) if there is no room now.
  int32_t send(const netserv_address& to, Text data) {
    return netserv_udp_send(handle_, &to, data.data, data.size);
  }
  int32_t receive(netserv_address& from, void* out, uint32_t capacity) {
    return netserv_udp_receive(handle_, &from, out, capacity);
  }
  void close() {
    if (open_) netserv_udp_close(handle_);
    open_ = false;
  }

 private:
  int32_t handle_ = 0;
  bool open_ = false;
};

}  // namespace netserv::guest

#if defined(__wasm__)
extern "C" void __wasm_call_ctors();
#define NETSERV_START_UP_ NETSERV_EXPORT(_initialize) void netserv_initialize_() { __wasm_call_ctors(); }
#else
#define NETSERV_START_UP_
#endif

// A module has no exit at which to destroy it.
#if defined(__clang__)
#define NETSERV_FOR_EVER_ [[clang::no_destroy]]
#else
#define NETSERV_FOR_EVER_
#endif

#define NETSERV_MODULE_CLASS(Class)                                                               \
  NETSERV_START_UP_                                                                               \
  NETSERV_FOR_EVER_ static Class netserv_module_;                                                                   \
  template <class T>                                                                              \
  static int32_t netserv_start_(T& m) {                                                           \
    if constexpr (requires { m.on_start(); }) return m.on_start();                                \
    return 0;                                                                                     \
  }                                                                                               \
  template <class T>                                                                              \
  static void netserv_timer_(T& m, uint32_t id) {                                                 \
    if constexpr (requires { m.on_timer(id); }) m.on_timer(id);                                   \
  }                                                                                               \
  template <class T>                                                                              \
  static void netserv_readable_(T& m, int32_t handle) {                                           \
    if constexpr (requires { m.on_readable(handle); }) m.on_readable(handle);                     \
  }                                                                                               \
  template <class T>                                                                              \
  static void netserv_properties_(T& m) {                                                         \
    if constexpr (requires { m.on_properties(); }) m.on_properties();                             \
  }                                                                                               \
  template <class T>                                                                              \
  static void netserv_stop_(T& m) {                                                               \
    if constexpr (requires { m.on_stop(); }) m.on_stop();                                         \
  }                                                                                               \
  NETSERV_EXPORT(netserv_start) int32_t netserv_start() { return netserv_start_(netserv_module_); } \
  NETSERV_EXPORT(netserv_timer) void netserv_timer(int32_t id) {                                  \
    netserv_timer_(netserv_module_, static_cast<uint32_t>(id));                                   \
  }                                                                                               \
  NETSERV_EXPORT(netserv_readable) void netserv_readable(int32_t handle) {                        \
    netserv_readable_(netserv_module_, handle);                                                   \
  }                                                                                               \
  NETSERV_EXPORT(netserv_properties) void netserv_properties() { netserv_properties_(netserv_module_); } \
  NETSERV_EXPORT(netserv_stop) void netserv_stop() { netserv_stop_(netserv_module_); }

#define NETSERV_PACKET_MODULE_CLASS(Class)              \
  NETSERV_MODULE_CLASS(Class)                           \
  static inline void netserv_packet_(netserv_packet* raw) { \
    netserv::guest::Packet packet(*raw, netserv_data(raw)); \
    netserv_module_.on_packet(packet);                  \
  }                                                     \
  NETSERV_PACKET_MODULE(netserv_packet_)

#endif  // NETSERV_MODULE_HPP
