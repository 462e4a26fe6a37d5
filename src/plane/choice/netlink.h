// Two netlink dumps: the qdiscs of interfaces, and nftables' base chains.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace netserv::plane {

// Root and ingress qdiscs by interface index, as "htb".
Result<std::multimap<unsigned, std::string>> dump_qdiscs();

struct NftChain {
  unsigned family = 0;  // NFPROTO_*
  std::string table, name, device;
  unsigned hook = 0;     // in its family's counting
  bool accepts = true;   // its policy
  unsigned rules = 0;
};
// Chains that a hook leads to. None if the kernel has no nftables.
Result<std::vector<NftChain>> dump_nft_chains();

}  // namespace netserv::plane
