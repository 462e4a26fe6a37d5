// The front end of the compile pipeline (design: module runtime): a stranger's bytes in, C text or a refusal out.
//
// Two passes. The first streams over the binary with libwabt's reader and holds it to CheckLimits before anything
// is built in proportion to it. The second reads it into libwabt's IR with debug names off and only the features
// that the C writer can do, validates it, checks imports, exports and the window, throws away every export that
// the ABI does not name, and writes C. No name of the module's own choosing reaches the C text.
//
// No files, processes or clock. libwabt may abort on input it did not expect: run it in the sandboxed helper
// (netserv-compile) for bytes that are not your own.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "compile/manifest.h"

namespace netserv::compile {

struct CheckLimits {
  std::size_t module_bytes = 2u << 20;
  std::uint32_t types = 2048;
  std::uint32_t parameters = 64;  // of one function type; results: 16
  std::uint32_t imports = 256;
  std::uint32_t functions = 8192;
  std::uint32_t function_bytes = 128u << 10;  // of one body
  std::uint32_t locals = 2048;                // of one function, parameters not counted
  std::uint32_t nesting = 256;                // blocks within blocks
  std::uint32_t branch_targets = 4096;        // of one br_table
  std::uint32_t globals = 4096;
  std::uint32_t data_bytes = 1u << 20;  // all data segments
  std::uint32_t data_segments = 4096;
  std::uint32_t table_elements = 16384;
  std::uint32_t element_segments = 1024;
  std::uint32_t memory_pages = 4096;  // at start
};

struct CheckedModule {
  Manifest manifest;
  std::uint32_t memory_pages = 0;  // at start
  std::vector<std::string> exports;
  std::vector<std::string> imports;  // "packet/1 emit"
  std::string c_source;              // module.c; includes module.h and wasm-rt.h
  std::string c_header;              // module.h
};

// Errors are the publisher's: subject is "module", "function N", "import ...", "export ...", "manifest"; text
// holds no byte of the module outside printable ASCII.
Result<CheckedModule> check_module(ByteSpan wasm, const CheckLimits& limits = {});

}  // namespace netserv::compile
