// Places and removes the rules by running iptables-restore and ip6tables-restore as children (no shell), one
// atomic --noflush batch each. Which of the system's variants (default, nft, legacy) can place our rules is found
// out by placing them.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/result.h"
#include "plane/netfilter/rules.h"

namespace netserv::plane {

class Xtables {
 public:
  explicit Xtables(RuleOptions options) : options_(options) {}
  // Takes away what earlier runs have left behind, in every variant. Touches nothing that is not ours.
  Status clean();
  // Chain and jump, without any filter, for both IP versions. Call clean() before.
  Status install();
  // Replaces the filters. Each IP version changes in one step; if the second fails the first is put back.
  Status replace(const std::vector<Filter>& filters);
  const std::string& variant() const { return restore_[0]; }

 private:
  Status restore(IpVersion version, const std::string& tool, const std::string& batch);
  RuleOptions options_;
  std::array<std::string, 2> restore_;  // the tool that works, by IP version
  std::vector<Filter> in_force_;
};

}  // namespace netserv::plane
