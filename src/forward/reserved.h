// Addresses that no module deals with: the node's own, and its management's (semantics.md). Packets to them pass by,
// and no module sends from or to them, whatever its publisher is authorised for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "wire/ip/address.h"

namespace netserv::forward {

class ReservedAddresses {
 public:
  ReservedAddresses() = default;
  explicit ReservedAddresses(const std::vector<Prefix>& prefixes) {
    for (const Prefix& p : prefixes) {
      if (p.length() < p.address().bits()) {
        ranges_.push_back(p);
        continue;
      }
      hosts_.push_back(p.address());
      seen_ |= bit_of(p.address());
    }
    std::ranges::sort(hosts_);
  }
  // Asked for every packet: one bit rules most addresses out.
  bool contains(const IpAddress& address) const {
    if ((seen_ & bit_of(address)) != 0 && std::ranges::binary_search(hosts_, address)) return true;
    return std::ranges::any_of(ranges_, [&](const Prefix& p) { return p.contains(address); });
  }
  bool operator==(const ReservedAddresses&) const = default;

 private:
  // By its last four bytes, mixed: a node's addresses and its users' often end alike.
  static std::uint64_t bit_of(const IpAddress& address) {
    std::uint32_t last;
    std::memcpy(&last, address.bytes().last<4>().data(), sizeof last);
    return std::uint64_t{1} << (last * 0x9e3779b1u >> 26);
  }
  std::uint64_t seen_ = 0;
  std::vector<IpAddress> hosts_;  // sorted
  std::vector<Prefix> ranges_;
};

}  // namespace netserv::forward
