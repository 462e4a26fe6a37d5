#include "plane/xdp/kept_links.h"

#include <bpf/bpf.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "sys/fd.h"

namespace netserv::plane {
namespace {

Result<std::string> name_of(int link) {
  bpf_link_info info{};
  __u32 length = sizeof info;
  if (bpf_obj_get_info_by_fd(link, &info, &length) != 0) return fail_errno("XDP program", "asking for its link", errno);
  return std::to_string(info.id);
}

}  // namespace

KeptLinks::KeptLinks(const KeepWhere& where) : bpf_folder_(where.bpf_folder) {
  struct stat network {};
  (void)!::stat("/proc/self/ns/net", &network);
  std::string name = "netserv-" + std::to_string(network.st_ino) + where.run_folder;
  std::ranges::replace_if(name, [](char c) { return c == '/' || c == '.'; }, '-');  // neither may be in a name there
  folder_ = bpf_folder_ + "/" + name;
}

Status KeptLinks::keep(std::span<const int> links) {
  Status pinned;
  if (!links.empty()) {
    pinned = pin(links);
    if (pinned) return pinned;
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  return pinned;
}

Status KeptLinks::pin(std::span<const int> links) {
  struct statfs system {};
  if (::statfs(bpf_folder_.c_str(), &system) != 0 || static_cast<std::uint32_t>(system.f_type) != BPF_FS_MAGIC)
    return fail(Origin::kOperator, bpf_folder_, "no BPF file system is mounted there");
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(folder_, "making the folder", errno);
  std::set<std::string> names;
  for (int link : links) {
    NETSERV_ASSIGN(std::string name, name_of(link));
    if (bpf_obj_pin(link, (folder_ + "/" + name).c_str()) != 0 && errno != EEXIST)
      return fail_errno(folder_, "pinning the XDP program's link", errno);
    names.insert(name);
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored))
    if (!names.contains(entry.path().filename())) std::filesystem::remove(entry.path(), ignored);
  return {};
}

void KeptLinks::release() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
    sys::UniqueFd link(bpf_obj_get(entry.path().c_str()));
    if (link) bpf_link_detach(link.get());  // at once: without its pin it would go some time later
    std::filesystem::remove(entry.path(), ignored);
  }
  std::filesystem::remove(folder_, ignored);
}

}  // namespace netserv::plane
