#include "compile/module_cache.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "compile/compiler.h"

namespace netserv::compile {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".new-";

// Removes the file it names unless told that it has been renamed.
struct TemporaryFile {
  std::string path;
  int fd = -1;
  ~TemporaryFile() {
    if (fd >= 0) close(fd);
    if (!path.empty()) unlink(path.c_str());
  }
};

Status sync_folder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_errno(folder, "open", errno);
  const int failed = fsync(fd) != 0 ? errno : 0;
  close(fd);
  if (failed != 0 && failed != EINVAL) return fail_errno(folder, "fsync", failed);
  return {};
}

Status make_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(path, "mkdir", errno);
  return {};
}

// Writes `bytes` under a temporary name, then gives the file its own; whole or not at all.
Status write_file(const std::string& path, ByteSpan bytes) {
  TemporaryFile file;
  const fs::path target(path);
  file.path = (target.parent_path() / (std::string(kTemporary) + target.filename().string())).string();
  file.fd = open(file.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
  if (file.fd < 0) return fail_errno(path, "make", errno);
  while (!bytes.empty()) {
    const ssize_t n = write(file.fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(path, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  if (fsync(file.fd) != 0) return fail_errno(path, "fsync", errno);
  if (rename(file.path.c_str(), path.c_str()) != 0) return fail_errno(path, "rename", errno);
  file.path.clear();
  return sync_folder(target.parent_path().string());
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) return fail(Origin::kSystem, path, "can't be read");
  return text;
}

Status remove_file(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(path, "unlink", errno);
  return {};
}

void remove_temporaries(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename().string().rfind(kTemporary, 0) == 0) fs::remove(entry.path(), ignored);
}

// A publisher's name as one path component.
Result<std::string> component(const PublisherId& publisher) {
  const std::string& name = publisher.value();
  bool good = !name.empty() && name.size() <= 128 && name[0] != '.';
  for (char c : name)
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
                    c == '_' || c == '@');
  if (!good) return fail(Origin::kOperator, "publisher", "has a name that can't be a folder's");
  return name;
}

}  // namespace

Result<ModuleCache> ModuleCache::open(std::string root) {
  ModuleCache cache(std::move(root));
  for (const std::string& folder : {cache.root_, cache.root_ + "/objects", cache.root_ + "/publishers"})
    NETSERV_TRY(make_folder(folder));
  remove_temporaries(cache.root_ + "/objects");
  return cache;
}

std::string ModuleCache::key(const Digest& digest) const {
  return to_hex(digest) + "-" + std::to_string(kPipelineVersion);
}

std::optional<ModuleCache::Entry> ModuleCache::find(const Digest& digest) const {
  Entry entry;
  entry.key = key(digest);
  entry.object_path = root_ + "/objects/" + entry.key + ".so";
  // The manifest is written last: with it there, the object is whole.
  const auto text = read_file(root_ + "/objects/" + entry.key + ".json");
  if (!text || access(entry.object_path.c_str(), R_OK) != 0) return std::nullopt;
  auto manifest = decode_manifest(*text);
  if (!manifest) return std::nullopt;
  entry.manifest = *std::move(manifest);
  return entry;
}

Result<ModuleCache::Entry> ModuleCache::add(const Digest& digest, const std::string& object_path,
                                            const Manifest& manifest) {
  NETSERV_ASSIGN(const std::string object, read_file(object_path));
  Entry entry{key(digest), root_ + "/objects/" + key(digest) + ".so", manifest};
  NETSERV_TRY(write_file(entry.object_path, as_bytes(object)));
  if (Status status = write_file(root_ + "/objects/" + entry.key + ".json", as_bytes(encode_manifest(manifest))); !status) {
    unlink(entry.object_path.c_str());
    return fail(status.error());
  }
  return entry;
}

Result<std::string> ModuleCache::publisher_folder(const PublisherId& publisher) {
  NETSERV_ASSIGN(const std::string name, component(publisher));
  const std::string folder = root_ + "/publishers/" + name;
  NETSERV_TRY(make_folder(folder));
  return folder;
}

Result<std::string> ModuleCache::grant(const PublisherId& publisher, const Entry& entry) {
  NETSERV_ASSIGN(const std::string folder, publisher_folder(publisher));
  const std::string name = entry.key + ".so";
  const std::string target = folder + "/" + name;
  if (link(entry.object_path.c_str(), target.c_str()) != 0 && errno != EEXIST) return fail_errno(target, "link", errno);
  NETSERV_TRY(sync_folder(folder));
  return name;
}

Status ModuleCache::revoke(const PublisherId& publisher, const std::string& key) {
  NETSERV_ASSIGN(const std::string folder, publisher_folder(publisher));
  return remove_file(folder + "/" + key + ".so");
}

void ModuleCache::revoke_unless(const std::function<bool(const PublisherId&, std::string_view object)>& in_use) {
  std::error_code error;
  for (const auto& folder : fs::directory_iterator(root_ + "/publishers", error)) {
    const PublisherId publisher(folder.path().filename().string());
    for (const auto& file : fs::directory_iterator(folder.path(), error))
      if (!in_use(publisher, file.path().filename().string())) fs::remove(file.path(), error);
  }
}

void ModuleCache::trim(std::uint64_t most_bytes) {
  struct Object {
    fs::file_time_type made;
    std::string key;
    std::uint64_t bytes = 0;
  };
  std::vector<Object> unused;
  std::uint64_t total = 0;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(root_ + "/objects", error)) {
    if (file.path().extension() != ".so") continue;
    Object object{file.last_write_time(error), file.path().stem().string(), file.file_size(error)};
    if (error) continue;
    total += object.bytes;
    if (file.hard_link_count(error) == 1) unused.push_back(std::move(object));
  }
  std::sort(unused.begin(), unused.end(), [](const Object& a, const Object& b) { return a.made < b.made; });
  for (const Object& object : unused) {
    if (total <= most_bytes) return;
    if (remove(object.key)) total -= object.bytes;
  }
}

Status ModuleCache::remove(const std::string& key) {
  NETSERV_TRY(remove_file(root_ + "/objects/" + key + ".json"));
  return remove_file(root_ + "/objects/" + key + ".so");
}

}  // namespace netserv::compile
