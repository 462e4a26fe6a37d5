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
  Status replace(const RuleSet& wanted);
  // Whether the kernel copies packets to a log group (NFLOG), sampled; known after install().
  bool can_log() const { return can_log_; }
  const std::string& variant() const { return restore_[0]; }

 private:
  Status restore(IpVersion version, const std::string& tool, const std::string& batch);
  RuleOptions options_;
  std::array<std::string, 2> restore_;  // the tool that works, by IP version
  RuleSet in_force_;
  bool can_log_ = false;
};

}  // namespace netserv::plane
