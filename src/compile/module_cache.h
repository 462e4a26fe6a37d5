// The module cache: compiled objects by content.
//
//   ROOT/objects/KEY.so, KEY.json            KEY = sha-256 of the .wasm in hex, "-", pipeline version
//   ROOT/publishers/PUBLISHER/KEY.so         a hard link; this folder is what the publisher's container sees
//
// Files appear whole or not at all: written under a temporary name, synced, renamed, the folder synced. One
// process (netservd) writes; readers need no lock. Objects are 0444, folders 0755.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "compile/manifest.h"

namespace netserv::compile {

using Digest = std::array<std::byte, 32>;  // sha-256
Result<Digest> digest_of_file(const std::string& path);
Digest digest_of(ByteSpan bytes);
std::string to_hex(const Digest& digest);

class ModuleCache {
 public:
  struct Entry {
    std::string key;
    std::string object_path;
    Manifest manifest;
  };

  // Makes the folders and removes temporary files that a crash left.
  static Result<ModuleCache> open(std::string root);

  std::string key(const Digest& digest) const;
  // What is cached for this .wasm, if it is whole.
  std::optional<Entry> find(const Digest& digest) const;
  // Copies a compiled object in. A full disk is an error of the system that names the path; nothing partial stays.
  Result<Entry> add(const Digest& digest, const std::string& object_path, const Manifest& manifest);

  // The publisher's folder, made if need be; bind it read-only into the container.
  Result<std::string> publisher_folder(const PublisherId& publisher);
  // Links the object into the publisher's folder; idempotent. Returns the file's name within the folder.
  Result<std::string> grant(const PublisherId& publisher, const Entry& entry);
  Status revoke(const PublisherId& publisher, const std::string& key);
  // Revokes what a crash left granted: every object of a publisher that `in_use` does not claim.
  void revoke_unless(const std::function<bool(const PublisherId&, std::string_view object)>& in_use);
  // Removes the object from the cache; publishers' links keep it alive for them.
  Status remove(const std::string& key);
  // Removes objects that no publisher has, the oldest first, until all together are `most_bytes` or nothing is left
  // to remove.
  void trim(std::uint64_t most_bytes);

 private:
  explicit ModuleCache(std::string root) : root_(std::move(root)) {}
  std::string root_;
};

}  // namespace netserv::compile
