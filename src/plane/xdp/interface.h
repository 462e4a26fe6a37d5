// What the xdp plane wants to know of a network interface, asked of the kernel.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace netserv::plane {

std::uint32_t receive_queues(const std::string& interface);
std::uint32_t mtu_of(const std::string& interface);

// A NIC that takes VLAN tags off before the XDP program sees a frame makes tagged frames look untagged. kOff: it does
// not, or has been told to stop.
enum class VlanStripping : std::uint8_t { kOff, kOn };
VlanStripping stop_vlan_stripping(const std::string& interface);

// Tells of links that come, go and change in this network namespace (rtnetlink).
class LinkWatch {
 public:
  static Result<LinkWatch> open();
  struct News {
    bool any = false;
    std::set<unsigned> gone;  // ifindexes
  };
  // Since the last call. Never blocks.
  News read();

 private:
  explicit LinkWatch(sys::UniqueFd fd) : fd_(std::move(fd)) {}
  sys::UniqueFd fd_;
};

}  // namespace netserv::plane
