// How a call's end is told: Leave and wasm_rt_trap_t to dispatch::Trap.
#pragma once

#include <cstdint>

#include "dispatch/module_runtime.h"

namespace netserv::runtime {

dispatch::Trap describe_leave(std::uint32_t reason, std::uint32_t exit_code);

}  // namespace netserv::runtime
