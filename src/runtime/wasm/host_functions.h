// The frame of every host function: section, body, and leaving with nothing alive that needs a destructor.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "runtime/wasm/guest_call.h"
#include "runtime/wasm/instance.h"

namespace netserv::runtime {

// What a body gives: a value for the module, or a reason to leave the call.
struct HostResult {
  std::uint64_t value = 0;
  std::uint32_t reason = 0;
  static HostResult of(std::uint64_t value) { return {value, 0}; }
  static HostResult trap(Leave reason) { return {0, static_cast<std::uint32_t>(reason)}; }
  static HostResult trap(std::uint32_t reason) { return {0, reason}; }
  // A negative errno, or a count, as the ABI's i32.
  static HostResult signed_of(std::int64_t value) { return {static_cast<std::uint32_t>(value), 0}; }
};

template <class Body>
std::uint64_t host_call(Body body) {
  HostSection section;
  const HostResult result = body(*static_cast<WasmInstance*>(g_guest.instance));
  if (result.reason != 0) leave(result.reason);
  section.end();
  return result.value;
}

// WASI's part of struct netserv_host.
void fill_wasi(netserv_host& host);

}  // namespace netserv::runtime
