#include "testing/fake_blocks.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace netserv::testing {

FakeBlocks& blocks() {
  static FakeBlocks& instance = *new FakeBlocks;  // outlives a module that closes its sockets at exit
  return instance;
}

void reset_blocks() {
  FakeBlocks fresh;
  fresh.sockets = blocks().sockets;
  fresh.next_handle = blocks().next_handle;
  blocks() = fresh;
}

}  // namespace netserv::testing

using netserv::testing::blocks;

extern "C" {

std::int32_t netserv_packet_emit(const void* data, std::uint32_t length) {
  blocks().emitted.emplace_back(static_cast<const char*>(data), length);
  return 0;
}
std::int32_t netserv_timer_set(std::uint32_t id, std::uint64_t after_ns, std::uint64_t repeat_ns) {
  if (id > 63) return -EINVAL;
  blocks().timers[id] = {after_ns, repeat_ns};
  return 0;
}
std::int32_t netserv_timer_cancel(std::uint32_t id) { return blocks().timers.erase(id) ? 0 : -ENOENT; }
std::uint64_t netserv_timer_now(void) { return blocks().now_ns; }
void netserv_log_write(std::uint32_t, const char* text, std::uint32_t length) {
  blocks().log.emplace_back(text, length);
}
std::int32_t netserv_properties_get(const char* key, std::uint32_t key_length, char* out, std::uint32_t capacity) {
  auto found = blocks().properties.find(std::string(key, key_length));
  if (found == blocks().properties.end()) return -ENOENT;
  std::memcpy(out, found->second.data(), std::min<std::size_t>(capacity, found->second.size()));
  return static_cast<std::int32_t>(found->second.size());
}
std::int32_t netserv_counters_add(const char* name, std::uint32_t length, std::uint64_t n) {
  blocks().counters[std::string(name, length)] += n;
  return 0;
}
std::int32_t netserv_udp_open(std::uint32_t family, std::uint32_t) {
  blocks().sockets[blocks().next_handle] = static_cast<int>(family);
  return blocks().next_handle++;
}
std::int32_t netserv_udp_send(std::int32_t handle, const netserv_address* to, const void* data, std::uint32_t length) {
  if (!blocks().sockets.count(handle)) return -EBADF;
  if (blocks().sends_before_eagain == 0) return -EAGAIN;
  if (blocks().sends_before_eagain > 0) blocks().sends_before_eagain--;
  blocks().sent.push_back({*to, std::string(static_cast<const char*>(data), length)});
  return static_cast<std::int32_t>(length);
}
std::int32_t netserv_udp_receive(std::int32_t, netserv_address*, void*, std::uint32_t) { return -EAGAIN; }
std::int32_t netserv_udp_close(std::int32_t handle) { return blocks().sockets.erase(handle) ? 0 : -EBADF; }
}
