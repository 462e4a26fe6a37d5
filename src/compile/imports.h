// The functions that a module may import: those of runtime/wasm/imports.def, and what WASI preview 1 has besides,
// which answers with a fixed error so that ordinary toolchains' output links.
#pragma once

#include <span>
#include <string_view>

namespace netserv::compile {

struct KnownImport {
  std::string_view module;
  std::string_view name;
  std::string_view parameters;  // i = i32, I = i64
  std::string_view result;
  std::string_view member;  // of struct netserv_host; empty: answers `fixed`
  int fixed = 0;
};

std::span<const KnownImport> known_imports();
const KnownImport* find_import(std::string_view module, std::string_view name);
inline constexpr std::string_view kWasi = "wasi_snapshot_preview1";

}  // namespace netserv::compile
