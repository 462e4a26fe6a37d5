#include "compile/imports.h"

#include <array>

namespace netserv::compile {
namespace {

// WASI error numbers.
constexpr int kBadHandle = 8;      // also how the C library's search for preopened folders ends
constexpr int kNoSuchCall = 52;
constexpr int kNotSeekable = 70;

constexpr auto kImports = std::to_array<KnownImport>({
#define NETSERV_IMPORT(member, module, name, parameters, result, c_result, c_parameters, c_arguments) \
  {module, name, parameters, result, #member},
#include "runtime/wasm/imports.def"
#undef NETSERV_IMPORT
    {kWasi, "fd_advise", "iIIi", "i", "", kBadHandle},
    {kWasi, "fd_allocate", "iII", "i", "", kBadHandle},
    {kWasi, "fd_close", "i", "i", "", kBadHandle},
    {kWasi, "fd_datasync", "i", "i", "", kBadHandle},
    {kWasi, "fd_fdstat_set_flags", "ii", "i", "", kBadHandle},
    {kWasi, "fd_fdstat_set_rights", "iII", "i", "", kBadHandle},
    {kWasi, "fd_filestat_get", "ii", "i", "", kBadHandle},
    {kWasi, "fd_filestat_set_size", "iI", "i", "", kBadHandle},
    {kWasi, "fd_filestat_set_times", "iIIi", "i", "", kBadHandle},
    {kWasi, "fd_pread", "iiiIi", "i", "", kBadHandle},
    {kWasi, "fd_prestat_get", "ii", "i", "", kBadHandle},
    {kWasi, "fd_prestat_dir_name", "iii", "i", "", kBadHandle},
    {kWasi, "fd_pwrite", "iiiIi", "i", "", kBadHandle},
    {kWasi, "fd_read", "iiii", "i", "", kBadHandle},
    {kWasi, "fd_readdir", "iiiIi", "i", "", kBadHandle},
    {kWasi, "fd_renumber", "ii", "i", "", kBadHandle},
    {kWasi, "fd_seek", "iIii", "i", "", kNotSeekable},
    {kWasi, "fd_sync", "i", "i", "", kBadHandle},
    {kWasi, "fd_tell", "ii", "i", "", kNotSeekable},
    {kWasi, "path_create_directory", "iii", "i", "", kNoSuchCall},
    {kWasi, "path_filestat_get", "iiiii", "i", "", kNoSuchCall},
    {kWasi, "path_filestat_set_times", "iiiiIIi", "i", "", kNoSuchCall},
    {kWasi, "path_link", "iiiiiii", "i", "", kNoSuchCall},
    {kWasi, "path_open", "iiiiiIIii", "i", "", kNoSuchCall},
    {kWasi, "path_readlink", "iiiiii", "i", "", kNoSuchCall},
    {kWasi, "path_remove_directory", "iii", "i", "", kNoSuchCall},
    {kWasi, "path_rename", "iiiiii", "i", "", kNoSuchCall},
    {kWasi, "path_symlink", "iiiii", "i", "", kNoSuchCall},
    {kWasi, "path_unlink_file", "iii", "i", "", kNoSuchCall},
    {kWasi, "poll_oneoff", "iiii", "i", "", kNoSuchCall},
    {kWasi, "proc_raise", "i", "i", "", kNoSuchCall},
    {kWasi, "sched_yield", "", "i", "", 0},
    {kWasi, "sock_accept", "iii", "i", "", kNoSuchCall},
    {kWasi, "sock_recv", "iiiiii", "i", "", kNoSuchCall},
    {kWasi, "sock_send", "iiiii", "i", "", kNoSuchCall},
    {kWasi, "sock_shutdown", "ii", "i", "", kNoSuchCall},
});

}  // namespace

std::span<const KnownImport> known_imports() { return kImports; }

const KnownImport* find_import(std::string_view module, std::string_view name) {
  for (const KnownImport& known : kImports)
    if (known.module == module && known.name == name) return &known;
  return nullptr;
}

}  // namespace netserv::compile
