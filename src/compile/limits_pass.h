// First pass over a module's binary: holds it to CheckLimits while libwabt's reader streams over it, before
// anything is built whose size or depth the module decides.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "compile/check.h"

namespace netserv::compile {

Status check_limits(ByteSpan wasm, const CheckLimits& limits);

// Bytes of a stranger, made fit for a log line: printable ASCII, at most 200 characters.
std::string printable(std::string_view text);

}  // namespace netserv::compile
