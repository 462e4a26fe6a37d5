// A module's manifest: the JSON object in the custom section "netserv.manifest" of its .wasm file
// (sdk/include/netserv/abi.h). Everything in it is a publisher's word: shape is checked here, policy elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace netserv::compile {

struct Manifest {
  std::string name;     // letters, digits, '.', '-', '_', the first a letter or digit
  std::string version;  // the same but '_', the first a digit, so that name_version is a module's id; at most 32
  std::uint32_t abi = 0;
  bool packet = false;  // kind
  bool server = false;
  std::vector<std::string> blocks;  // building blocks it may import, "packet/1"
  bool observer = false;
  std::uint32_t memory_pages = 0;  // 64 KiB pages it wants at most; 0: says nothing

  bool operator==(const Manifest&) const = default;
};

// Decodes the section's payload. Errors (origin publisher) name "manifest" or the key; another ABI version than
// NETSERV_ABI_VERSION is one that says both.
Result<Manifest> decode_manifest(std::string_view json);
// One line of JSON that decode_manifest() takes back.
std::string encode_manifest(const Manifest& manifest);

// The sections of a .wasm file, taken apart without looking into them.
struct SplitFile {
  std::string manifest;  // payload of the only "netserv.manifest" section
  Bytes code;            // the file without any custom section: debug names and all else of the kind are gone
};
Result<SplitFile> split_file(ByteSpan wasm);

// Both at once, for whoever only wants to know what a file is.
Result<Manifest> manifest_of(ByteSpan wasm);

}  // namespace netserv::compile
