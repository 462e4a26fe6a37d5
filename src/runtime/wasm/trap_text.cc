#include "runtime/wasm/trap_text.h"

#include "runtime/wasm/guest_call.h"
#include "runtime/wasm/object.h"

namespace netserv::runtime {

using dispatch::Trap;

Trap describe_leave(std::uint32_t reason, std::uint32_t exit_code) {
  switch (static_cast<Leave>(reason)) {
    case Leave::kTimeLimit: return {Trap::Kind::kTimeLimit, "a call took longer than its CPU time limit"};
    case Leave::kExit: return {Trap::Kind::kExit, "the module exited with code " + std::to_string(exit_code)};
    case Leave::kHostPointer: return {Trap::Kind::kOutOfBounds, "a building block was given an address out of bounds"};
    case Leave::kWindowGone: return {Trap::Kind::kHost, "the packet window's file has shrunk or can't be read"};
    case Leave::kNoMemory: return {Trap::Kind::kHost, "the memory that the module starts with is more than its limit"};
    case Leave::kReturned: break;
  }
  switch (reason) {
    case WASM_RT_TRAP_OOB: return {Trap::Kind::kOutOfBounds, "out-of-bounds access to memory or a table"};
    case WASM_RT_TRAP_INT_OVERFLOW: return {Trap::Kind::kBadConversion, "integer overflow in a division or conversion"};
    case WASM_RT_TRAP_DIV_BY_ZERO: return {Trap::Kind::kDivision, "integer division by zero"};
    case WASM_RT_TRAP_INVALID_CONVERSION: return {Trap::Kind::kBadConversion, "conversion of NaN to an integer"};
    case WASM_RT_TRAP_UNREACHABLE: return {Trap::Kind::kUnreachable, "unreachable executed (abort, or a failed check)"};
    case WASM_RT_TRAP_CALL_INDIRECT: return {Trap::Kind::kIndirectCall, "call through a bad function pointer"};
    case WASM_RT_TRAP_EXHAUSTION: return {Trap::Kind::kStackExhausted, "call stack exhausted"};
  }
  return {Trap::Kind::kOther, "trap " + std::to_string(reason)};
}

}  // namespace netserv::runtime
