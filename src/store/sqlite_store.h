// What a node remembers, in SQLite: modules, containers, nonces, the operator's switches. One writer, one thread.
// commit() is one transaction, synced to disk (WAL, synchronous=FULL): after a crash it is there whole or not at
// all. A full disk is an error that names the file; the database stays as it was.
#pragma once

#include <memory>
#include <string>

#include "node/controller.h"

namespace netserv::store {

inline constexpr int kSchemaVersion = 1;

class SqliteStore : public node::Store {
 public:
  // Makes the file if need be. Refuses a database of a later schema.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& path);
  ~SqliteStore() override;

  Status commit(std::span<const node::StoreChange> changes) override;
  Result<node::Snapshot> load();

 private:
  struct Impl;
  explicit SqliteStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace netserv::store
