// From C text to a shared object: runs the host's gcc in a folder of its own.
//
// build_object() blocks, for at most `deadline`; what it started is dead when it returns. Limits other than memory
// and time are those of the process, which gcc inherits (the helper's sandbox sets them, sandbox/limits.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "compile/check.h"

namespace netserv::compile {

// Part of a cached object's name: grows whenever the same .wasm would give another object.
inline constexpr unsigned kPipelineVersion = 3;

struct BuildOptions {
  std::string compiler = "/usr/bin/gcc";
  std::chrono::milliseconds deadline{60000};
  std::uint64_t memory_bytes = 0;  // address space of the compiler's processes; 0: as inherited
};

// Writes the object to `object_path`, made anew; scratch files go to `work_folder`, which exists and is
// writable. Tries -O2 for half of the deadline, then -O1; when that fails too, the error is the publisher's if
// the module is too much for the limits (time, memory), the system's if the compiler is at fault or the disk full.
Status build_object(const CheckedModule& module, const std::string& work_folder, const std::string& object_path,
                    const BuildOptions& options = {});

}  // namespace netserv::compile
