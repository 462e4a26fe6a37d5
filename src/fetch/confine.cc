#include "fetch/confine.h"

#include <unistd.h>

#include <array>
#include <string_view>
#include <vector>

#include "sandbox/limits.h"
#include "sandbox/paths.h"
#include "sandbox/system_calls.h"

namespace netserv::fetch {
namespace {

// What a downloader has no use for beyond the calls that are dangerous for anyone.
constexpr std::array<std::string_view, 5> kNoPrograms = {"execve", "execveat", "listen", "accept", "accept4"};

}  // namespace

Status confine_web_client(sandbox::Identity identity, const std::string& ca_file, const Limits& limits) {
  sandbox::ResourceLimits resources;
  resources.cpu = std::chrono::ceil<std::chrono::seconds>(limits.deadline);
#if !defined(__SANITIZE_ADDRESS__)  // whose shadow alone is terabytes
  resources.address_space = 1u << 30;
#endif
  resources.file_size = limits.file_bytes;
  resources.open_files = 64;
  resources.processes = 1024;  // threads of all helpers, and of what else runs as that user: a machine has 32768 ids
  NETSERV_TRY(sandbox::apply_limits(resources));

  std::vector<sandbox::PathRule> paths;
  for (const char* path : {"/etc/ssl", "/etc/ca-certificates", "/usr/share/ca-certificates", "/etc/resolv.conf",
                           "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/usr/lib", "/lib",
                           "/lib64", "/etc/ld.so.cache", "/dev/urandom", "/run/systemd/resolve"})
    paths.push_back({path, sandbox::PathAccess::kReadExecute});  // libnss modules are loaded, hence "execute"
  if (!ca_file.empty()) paths.push_back({ca_file, sandbox::PathAccess::kRead});
  NETSERV_TRY(sandbox::no_new_privileges());
  NETSERV_TRY(sandbox::restrict_paths(paths));
  if (::geteuid() == 0) NETSERV_TRY(sandbox::drop_to(identity));
  NETSERV_TRY(sandbox::die_with_parent());
  std::array<std::span<const std::string_view>, 3> lists = {sandbox::dangerous_calls(), sandbox::process_calls(),
                                                            kNoPrograms};
  return sandbox::refuse_calls(lists, {.threads_only = true, .ip_sockets_only = true});
}

}  // namespace netserv::fetch
