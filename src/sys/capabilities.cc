#include "sys/capabilities.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace netserv::sys {

Status keep_capabilities(const std::vector<cap_value_t>& keep) {
  using Caps = std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)>;
  Caps old(::cap_get_proc(), ::cap_free), next(::cap_init(), ::cap_free);
  if (!old || !next) return fail_errno("capabilities", "read", errno);
  std::vector<cap_value_t> had;
  for (cap_value_t value : keep) {
    cap_flag_value_t set = CAP_CLEAR;
    if (::cap_get_flag(old.get(), value, CAP_PERMITTED, &set) == 0 && set == CAP_SET) had.push_back(value);
  }
  for (cap_value_t value = 0; value < ::cap_max_bits(); ++value)
    if (std::ranges::find(had, value) == had.end() && ::cap_get_bound(value) == 1) ::cap_drop_bound(value);
  for (cap_flag_t flag : {CAP_PERMITTED, CAP_EFFECTIVE, CAP_INHERITABLE})
    if (!had.empty() && ::cap_set_flag(next.get(), flag, static_cast<int>(had.size()), had.data(), CAP_SET) != 0)
      return fail_errno("capabilities", "prepare", errno);
  if (::cap_set_proc(next.get()) != 0) return fail_errno("capabilities", "give up", errno);
  for (cap_value_t value : had)
    if (::cap_set_ambient(value, CAP_SET) != 0) return fail_errno("capabilities", "make ambient", errno);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("capabilities", "no_new_privs", errno);
  return {};
}

}  // namespace netserv::sys
