#include "runtime/wasm/host_functions.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "netserv/abi.h"

namespace netserv::runtime {
namespace {

constexpr std::uint32_t kTableCap = 65536;
constexpr std::uint32_t kRefused = 0xffffffff;
constexpr std::uint32_t kTimers = 64;
constexpr std::uint32_t kMaxLogBytes = 1024;
constexpr std::uint32_t kMaxCounterName = 64;
constexpr std::uint32_t kMaxPropertyKey = 4096;  // longer than any in a SETUP; a lookup copies it
constexpr std::uint32_t kMaxDatagram = 65535;

// One id for one signature, for the life of the process, so that instances of one object share its tables.
std::uint32_t type_id(std::uint32_t params, std::uint32_t results, const std::uint32_t* types) {
  static std::map<std::vector<std::uint32_t>, std::uint32_t> known;
  std::vector<std::uint32_t> key(types, types + params + results);
  key.push_back(params);
  return known.try_emplace(std::move(key), static_cast<std::uint32_t>(known.size() + 1)).first->second;
}

[[noreturn]] void trap(std::uint32_t reason) { leave(reason); }

std::uint32_t register_type(std::uint32_t params, std::uint32_t results, const std::uint32_t* types) {
  return static_cast<std::uint32_t>(
      host_call([&](WasmInstance&) { return HostResult::of(type_id(params, results, types)); }));
}

void allocate_memory(wasm_rt_memory_t* memory, std::uint32_t initial, std::uint32_t max) {
  host_call([&](WasmInstance& instance) {
    return instance.allocate_memory(memory, initial, max) ? HostResult::of(0) : HostResult::trap(Leave::kNoMemory);
  });
}

std::uint32_t grow_memory(wasm_rt_memory_t* memory, std::uint32_t pages) {
  return static_cast<std::uint32_t>(
      host_call([&](WasmInstance& instance) { return HostResult::of(instance.grow_memory(memory, pages)); }));
}

template <class Table, class Elements, class Init>
std::uint32_t grow(Table* table, Elements& elements, std::uint32_t delta, const Init& init) {
  const std::uint32_t before = table->size;
  const std::uint32_t cap = std::min(table->max_size, kTableCap);
  if (before > cap || delta > cap - before) return kRefused;
  elements.resize(before + delta, init);
  table->data = elements.data();
  table->size = before + delta;
  return before;
}

void allocate_funcref_table(wasm_rt_funcref_table_t* table, std::uint32_t elements, std::uint32_t max) {
  host_call([&](WasmInstance& instance) {
    *table = {nullptr, max, 0};
    return grow(table, instance.funcrefs(table), elements, wasm_rt_funcref_t{}) == kRefused
               ? HostResult::trap(Leave::kNoMemory)
               : HostResult::of(0);
  });
}

void allocate_externref_table(wasm_rt_externref_table_t* table, std::uint32_t elements, std::uint32_t max) {
  host_call([&](WasmInstance& instance) {
    *table = {nullptr, max, 0};
    return grow(table, instance.externrefs(table), elements, wasm_rt_externref_t{}) == kRefused
               ? HostResult::trap(Leave::kNoMemory)
               : HostResult::of(0);
  });
}

std::uint32_t grow_funcref_table(wasm_rt_funcref_table_t* table, std::uint32_t delta, const wasm_rt_funcref_t* init) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& instance) {
    return HostResult::of(grow(table, instance.funcrefs(table), delta, *init));
  }));
}

std::uint32_t grow_externref_table(wasm_rt_externref_table_t* table, std::uint32_t delta, wasm_rt_externref_t init) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& instance) {
    return HostResult::of(grow(table, instance.externrefs(table), delta, init));
  }));
}

// Building blocks. Arguments and results: sdk/include/netserv/abi.h.

std::uint32_t packet_emit(std::uint32_t data, std::uint32_t length) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& i) {
    const auto packet = i.bytes_at(data, length);
    if (!packet) return HostResult::trap(Leave::kHostPointer);
    if (length == 0 || length > NETSERV_SLOT_BYTES) return HostResult::signed_of(-EMSGSIZE);
    return HostResult::signed_of(i.host().emit(i.slot(), *packet) ? 0 : -EAGAIN);
  }));
}

// Nanoseconds of a module; anything over a century is as good as that.
Duration duration(std::uint64_t ns) {
  constexpr std::uint64_t kLongest = 3'153'600'000'000'000'000;
  return Duration(static_cast<std::int64_t>(std::min(ns, kLongest)));
}

std::uint32_t timer_set(std::uint32_t id, std::uint64_t after_ns, std::uint64_t repeat_ns) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& i) {
    constexpr Duration kShortest = std::chrono::milliseconds(1);
    if (id >= kTimers) return HostResult::signed_of(-EINVAL);
    const Duration repeat = repeat_ns == 0 ? Duration(0) : std::max(duration(repeat_ns), kShortest);
    i.host().set_timer(i.slot(), id, std::max(duration(after_ns), kShortest), repeat);
    return HostResult::of(0);
  }));
}

std::uint32_t timer_cancel(std::uint32_t id) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& i) {
    if (id >= kTimers) return HostResult::signed_of(-EINVAL);
    i.host().cancel_timer(i.slot(), id);
    return HostResult::of(0);
  }));
}

std::uint64_t timer_now() {
  return host_call([](WasmInstance& i) {
    return HostResult::of(static_cast<std::uint64_t>(i.host().now().time_since_epoch().count()));
  });
}

void log_write(std::uint32_t level, std::uint32_t text, std::uint32_t length) {
  host_call([&](WasmInstance& i) {
    const auto bytes = i.bytes_at(text, length);
    if (!bytes) return HostResult::trap(Leave::kHostPointer);
    i.host().log(i.slot(), static_cast<int>(std::min(level, 3u)), as_text(*bytes).substr(0, kMaxLogBytes));
    return HostResult::of(0);
  });
}

std::uint32_t properties_get(std::uint32_t key, std::uint32_t key_length, std::uint32_t out, std::uint32_t capacity) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& i) {
    const auto name = i.bytes_at(key, key_length);
    const auto room = i.bytes_at(out, capacity);
    if (!name || !room) return HostResult::trap(Leave::kHostPointer);
    if (key_length > kMaxPropertyKey) return HostResult::signed_of(-ENOENT);
    const auto found = i.properties().find(std::string(as_text(*name)));
    if (found == i.properties().end()) return HostResult::signed_of(-ENOENT);
    std::memcpy(room->data(), found->second.data(), std::min<std::size_t>(capacity, found->second.size()));
    return HostResult::of(static_cast<std::uint32_t>(found->second.size()));
  }));
}

std::uint32_t counters_add(std::uint32_t name, std::uint32_t length, std::uint64_t n) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& i) {
    const auto bytes = i.bytes_at(name, length);
    if (!bytes) return HostResult::trap(Leave::kHostPointer);
    if (length == 0 || length > kMaxCounterName) return HostResult::signed_of(-EINVAL);
    i.host().count(i.slot(), as_text(*bytes), n);
    return HostResult::of(0);
  }));
}

std::uint32_t udp_open(std::uint32_t family, std::uint32_t local_port) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& i) {
    if ((family != 4 && family != 6) || local_port > 65535) return HostResult::signed_of(-EINVAL);
    return HostResult::signed_of(
        i.host().udp_open(i.slot(), static_cast<int>(family), static_cast<std::uint16_t>(local_port)));
  }));
}

std::uint32_t udp_send(std::uint32_t handle, std::uint32_t to, std::uint32_t data, std::uint32_t length) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& i) {
    const auto address_bytes = i.bytes_at(to, sizeof(netserv_address));
    const auto bytes = i.bytes_at(data, length);
    if (!address_bytes || !bytes) return HostResult::trap(Leave::kHostPointer);
    if (length > kMaxDatagram) return HostResult::signed_of(-EMSGSIZE);
    netserv_address address;
    std::memcpy(&address, address_bytes->data(), sizeof address);
    if (address.family != 4 && address.family != 6) return HostResult::signed_of(-EINVAL);
    const auto host_bytes = std::as_bytes(std::span(address.bytes)).first(address.family == 4 ? 4u : 16u);
    return HostResult::signed_of(
        i.host().udp_send(i.slot(), static_cast<int>(handle), address.family, host_bytes, address.port, *bytes));
  }));
}

std::uint32_t udp_receive(std::uint32_t handle, std::uint32_t from, std::uint32_t out, std::uint32_t capacity) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& i) {
    const auto address_bytes = i.bytes_at(from, sizeof(netserv_address));
    const auto room = i.bytes_at(out, capacity);
    if (!address_bytes || !room) return HostResult::trap(Leave::kHostPointer);
    netserv_address address{};
    int family = 0;
    const int n = i.host().udp_receive(i.slot(), static_cast<int>(handle), family,
                                       std::as_writable_bytes(std::span(address.bytes)), address.port, *room);
    if (n < 0) return HostResult::signed_of(n);
    address.family = static_cast<std::uint8_t>(family);
    std::memcpy(address_bytes->data(), &address, sizeof address);
    return HostResult::signed_of(n);
  }));
}

std::uint32_t udp_close(std::uint32_t handle) {
  return static_cast<std::uint32_t>(host_call([&](WasmInstance& i) {
    return HostResult::signed_of(i.host().udp_close(i.slot(), static_cast<int>(handle)));
  }));
}

netserv_host make_host() {
  netserv_host host{};
  host.trap = trap;
  host.register_type = register_type;
  host.allocate_memory = allocate_memory;
  host.grow_memory = grow_memory;
  host.allocate_funcref_table = allocate_funcref_table;
  host.allocate_externref_table = allocate_externref_table;
  host.grow_funcref_table = grow_funcref_table;
  host.grow_externref_table = grow_externref_table;
  host.packet_emit = packet_emit;
  host.timer_set = timer_set;
  host.timer_cancel = timer_cancel;
  host.timer_now = timer_now;
  host.log_write = log_write;
  host.properties_get = properties_get;
  host.counters_add = counters_add;
  host.udp_open = udp_open;
  host.udp_send = udp_send;
  host.udp_receive = udp_receive;
  host.udp_close = udp_close;
  fill_wasi(host);
  return host;
}

}  // namespace

const netserv_host& host_functions() {
  static const netserv_host kHost = make_host();
  return kHost;
}

}  // namespace netserv::runtime
