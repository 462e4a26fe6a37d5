// The node's database as a disk may give it back. The first byte decides: the input is the whole file; or it is what a
// module's row holds. Loading gives records or an error that names the file.
#include <SQLiteCpp/SQLiteCpp.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>

#include "store/sqlite_store.h"

using namespace netserv;

namespace {

struct Folder {
  std::string path = "/dev/shm/netserv-store-fuzz-" + std::to_string(::getpid());
  Folder() { std::filesystem::create_directory(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};
const Folder& folder() {
  static const Folder one;
  return one;
}

void load(const std::string& path) {
  auto store = store::SqliteStore::open(path);
  auto loaded = store ? (*store)->load() : Result<node::Snapshot>(fail(store.error()));
  NETSERV_CHECK(loaded || !loaded.error().text.empty());
}

void whole_file(ByteSpan bytes) {
  const std::string path = folder().path + "/whole.db";
  for (const char* more : {"", "-wal", "-shm", "-journal"}) std::filesystem::remove(path + more);
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  load(path);
}

// A database with one module, whose packed columns are the input.
void packed_columns(ByteSpan bytes) {
  static const std::string path = [] {
    std::string made = folder().path + "/row.db";
    auto store = *store::SqliteStore::open(made);
    node::ModuleRecord module;
    module.key = {PublisherId("p"), ModuleId("m_1")};
    const node::StoreChange change = node::PutModule{module};
    NETSERV_CHECK(store->commit({&change, 1}));
    return made;
  }();
  static store::SqliteStore& store = *store::SqliteStore::open(path)->release();
  static SQLite::Database db(path, SQLite::OPEN_READWRITE);
  static bool once = (db.exec("PRAGMA synchronous=OFF"), true);
  (void)once;
  SQLite::Statement update(db, "UPDATE modules SET spec = ?, failure = ?");
  const std::size_t half = bytes.empty() ? 0 : std::to_integer<std::size_t>(bytes[0]) * bytes.size() / 256;
  update.bind(1, bytes.data(), static_cast<int>(bytes.size() - half));
  update.bind(2, bytes.data() + (bytes.size() - half), static_cast<int>(half));
  update.exec();
  (void)store.load();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  data[0] % 2 == 0 ? whole_file(bytes) : packed_columns(bytes);
  return 0;
}
