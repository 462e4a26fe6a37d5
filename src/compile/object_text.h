// The hand-made end of the generated C: entry points, import stubs and the netserv_object descriptor
// (runtime/wasm/object.h), appended to what libwabt wrote.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "compile/imports.h"
#include "compile/manifest.h"

namespace netserv::compile {

struct ObjectFacts {
  Manifest manifest;
  std::vector<const KnownImport*> imports;  // each once
  std::size_t import_modules = 0;           // distinct KnownImport::module among them
  std::set<std::string> exports;            // of those the ABI names
};

// The module name given to libwabt's writer: part of every C identifier it makes.
inline constexpr const char* kCModuleName = "m";

std::string object_text(const ObjectFacts& facts);

}  // namespace netserv::compile
