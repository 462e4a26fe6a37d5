#include "store/sqlite_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "wire/ipc/archive.h"

namespace netserv::store {
namespace {

using node::ModuleRecord;

constexpr const char* kSchema = R"sql(
CREATE TABLE modules (
  publisher TEXT NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL, accepted INTEGER NOT NULL,
  expires INTEGER NOT NULL, container INTEGER NOT NULL, slot INTEGER NOT NULL, confirmed INTEGER NOT NULL,
  url TEXT NOT NULL, digest TEXT NOT NULL, spec BLOB NOT NULL, failure BLOB,
  PRIMARY KEY (publisher, id)) WITHOUT ROWID;
CREATE TABLE containers (id INTEGER PRIMARY KEY, publisher TEXT NOT NULL, runtime TEXT NOT NULL);
CREATE TABLE nonces (
  publisher TEXT NOT NULL, nonce TEXT NOT NULL, fingerprint TEXT NOT NULL, until INTEGER NOT NULL,
  sequence INTEGER NOT NULL, PRIMARY KEY (publisher, nonce)) WITHOUT ROWID;
CREATE TABLE disabled (publisher TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO settings VALUES ('draining', 0), ('next_sequence', 1), ('next_container', 1);
)sql";

std::int64_t to_sql(WallTime t) { return t.time_since_epoch().count(); }
WallTime from_sql(std::int64_t ns) { return WallTime(Duration(ns)); }

template <class T>
Bytes pack(const T& value) {
  ipc::Encoder encoder;
  encoder(value);
  return encoder.take();
}
template <class T>
Result<T> unpack(const SQLite::Column& column, const char* what) {
  T value;
  ipc::Decoder decoder(ByteSpan(static_cast<const std::byte*>(column.getBlob()), static_cast<std::size_t>(column.getBytes())));
  decoder(value);
  if (!decoder.at_end()) return fail(Origin::kSystem, "database", fmt::format("a {} in it makes no sense", what));
  return value;
}

tl::unexpected<Error> failed(const std::string& path, const SQLite::Exception& e) {
  std::string text = e.getErrorCode() == SQLITE_FULL ? "the disk is full" : e.what();
  return fail(Origin::kSystem, path, std::move(text));
}

}  // namespace

struct SqliteStore::Impl {
  std::string path;
  SQLite::Database db;

  explicit Impl(const std::string& p) : path(p), db(p, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 2000) {}

  void raise(const char* name, std::uint64_t at_least) {
    SQLite::Statement s(db, "UPDATE settings SET value = max(value, ?) WHERE name = ?");
    s.bind(1, static_cast<std::int64_t>(at_least));
    s.bind(2, name);
    s.exec();
  }
  void apply(const node::PutModule& c) {
    const ModuleRecord& m = c.module;
    SQLite::Statement s(db, "INSERT OR REPLACE INTO modules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    s.bind(1, m.key.publisher.value());
    s.bind(2, m.key.module.value());
    s.bind(3, static_cast<std::int64_t>(m.sequence));
    s.bind(4, to_sql(m.accepted));
    s.bind(5, to_sql(m.expires));
    s.bind(6, static_cast<std::int64_t>(m.container.value()));
    s.bind(7, static_cast<int>(m.slot.value()));
    s.bind(8, m.confirmed ? 1 : 0);
    s.bind(9, m.spec.url);
    s.bind(10, m.spec.digest);
    Bytes spec = pack(m.spec);
    s.bind(11, spec.data(), static_cast<int>(spec.size()));
    if (m.failure) {
      Bytes failure = pack(*m.failure);
      s.bind(12, failure.data(), static_cast<int>(failure.size()));
    }
    s.exec();
    raise("next_sequence", m.sequence + 1);
  }
  void apply(const node::DeleteModule& c) {
    SQLite::Statement s(db, "DELETE FROM modules WHERE publisher = ? AND id = ?");
    s.bind(1, c.key.publisher.value());
    s.bind(2, c.key.module.value());
    s.exec();
  }
  void apply(const node::PutContainer& c) {
    SQLite::Statement s(db, "INSERT OR REPLACE INTO containers VALUES (?, ?, ?)");
    s.bind(1, static_cast<std::int64_t>(c.container.id.value()));
    s.bind(2, c.container.publisher.value());
    s.bind(3, c.container.runtime);
    s.exec();
    raise("next_container", c.container.id.value() + std::uint64_t{1});
  }
  void apply(const node::DeleteContainer& c) {
    SQLite::Statement s(db, "DELETE FROM containers WHERE id = ?");
    s.bind(1, static_cast<std::int64_t>(c.container.value()));
    s.exec();
  }
  void apply(const node::PutNonce& c) {
    SQLite::Statement s(db, "INSERT OR REPLACE INTO nonces VALUES (?, ?, ?, ?, ?)");
    s.bind(1, c.key.first.value());
    s.bind(2, c.key.second);
    s.bind(3, c.nonce.fingerprint);
    s.bind(4, to_sql(c.nonce.until));
    s.bind(5, static_cast<std::int64_t>(c.nonce.sequence));
    s.exec();
  }
  void apply(const node::DeleteNonces& c) {
    SQLite::Statement s(db, "DELETE FROM nonces WHERE until < ?");
    s.bind(1, to_sql(c.until));
    s.exec();
  }
  void apply(const node::PutSwitches& c) {
    SQLite::Statement s(db, "UPDATE settings SET value = ? WHERE name = 'draining'");
    s.bind(1, c.switches.draining ? 1 : 0);
    s.exec();
    db.exec("DELETE FROM disabled");
    for (const PublisherId& publisher : c.switches.disabled) {
      SQLite::Statement insert(db, "INSERT INTO disabled VALUES (?)");
      insert.bind(1, publisher.value());
      insert.exec();
    }
  }
};

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path) {
  try {
    auto impl = std::make_unique<Impl>(path);
    ::chmod(path.c_str(), 0600);
    impl->db.exec("PRAGMA journal_mode=WAL");
    impl->db.exec("PRAGMA synchronous=FULL");
    int version = impl->db.execAndGet("PRAGMA user_version").getInt();
    if (version > kSchemaVersion)
      return fail(Origin::kOperator, path, fmt::format("was made by a later version (schema {}, known is {})", version, kSchemaVersion));
    if (version == 0) {
      SQLite::Transaction transaction(impl->db);
      impl->db.exec(kSchema);
      impl->db.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
      transaction.commit();
    }
    return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(impl)));
  } catch (const SQLite::Exception& e) {
    return failed(path, e);
  }
}

Status SqliteStore::commit(std::span<const node::StoreChange> changes) {
  try {
    SQLite::Transaction transaction(impl_->db);
    for (const node::StoreChange& change : changes) std::visit([&](const auto& c) { impl_->apply(c); }, change);
    transaction.commit();
    return {};
  } catch (const SQLite::Exception& e) {
    return failed(impl_->path, e);
  }
}

Result<node::Snapshot> SqliteStore::load() {
  try {
    node::Snapshot out;
    SQLite::Database& db = impl_->db;
    SQLite::Statement modules(db,
        "SELECT publisher, id, sequence, accepted, expires, container, slot, confirmed, spec, failure FROM modules");
    while (modules.executeStep()) {
      ModuleRecord m;
      m.key = {PublisherId(modules.getColumn(0).getString()), ModuleId(modules.getColumn(1).getString())};
      m.sequence = static_cast<std::uint64_t>(modules.getColumn(2).getInt64());
      m.accepted = from_sql(modules.getColumn(3).getInt64());
      m.expires = from_sql(modules.getColumn(4).getInt64());
      m.container = ContainerId(static_cast<std::uint32_t>(modules.getColumn(5).getInt64()));
      m.slot = ModuleSlot(static_cast<std::uint8_t>(modules.getColumn(6).getInt()));
      m.confirmed = modules.getColumn(7).getInt() != 0;
      NETSERV_ASSIGN(m.spec, unpack<node::ModuleSpec>(modules.getColumn(8), "module"));
      if (!modules.getColumn(9).isNull()) {
        NETSERV_ASSIGN(m.failure, unpack<node::StoredFailure>(modules.getColumn(9), "failure"));
      }
      out.modules.push_back(std::move(m));
    }
    SQLite::Statement containers(db, "SELECT id, publisher, runtime FROM containers");
    while (containers.executeStep())
      out.containers.push_back({ContainerId(static_cast<std::uint32_t>(containers.getColumn(0).getInt64())),
                                PublisherId(containers.getColumn(1).getString()), containers.getColumn(2).getString()});
    SQLite::Statement nonces(db, "SELECT publisher, nonce, fingerprint, until, sequence FROM nonces");
    while (nonces.executeStep())
      out.nonces[{PublisherId(nonces.getColumn(0).getString()), nonces.getColumn(1).getString()}] = {
          nonces.getColumn(2).getString(), from_sql(nonces.getColumn(3).getInt64()),
          static_cast<std::uint64_t>(nonces.getColumn(4).getInt64())};
    SQLite::Statement disabled(db, "SELECT publisher FROM disabled");
    while (disabled.executeStep()) out.switches.disabled.insert(PublisherId(disabled.getColumn(0).getString()));
    SQLite::Statement settings(db, "SELECT name, value FROM settings");
    while (settings.executeStep()) {
      std::string name = settings.getColumn(0).getString();
      std::int64_t value = settings.getColumn(1).getInt64();
      if (name == "draining") out.switches.draining = value != 0;
      if (name == "next_sequence") out.next_sequence = static_cast<std::uint64_t>(value);
      if (name == "next_container") out.next_container = static_cast<std::uint32_t>(value);
    }
    return out;
  } catch (const SQLite::Exception& e) {
    return failed(impl_->path, e);
  }
}

}  // namespace netserv::store
