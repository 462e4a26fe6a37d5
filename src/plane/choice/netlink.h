// Netlink dumps: the qdiscs of interfaces, nftables' base chains, and how many IPsec policies there are.
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

struct IpsecPolicies {
  unsigned count = 0;  // that may be about forwarded packets: inbound ones are the node's own
  bool blocks_others = false;  // `ip xfrm policy setdefault fwd block`, or out
};
// None if the kernel has no IPsec.
Result<IpsecPolicies> dump_ipsec_policies();

}  // namespace netserv::plane
