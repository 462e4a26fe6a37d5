// What the XDP program sends to next hops the kernel does not see: it would never ask one whether it is still there, and
// packets would go to a dead one for ever. So the kernel is told which ones packets have gone to, as its own forwarding
// tells it (RFC 4861 section 7.3.3, states STALE, DELAY, PROBE; the same for ARP).
//
// Used by one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace netserv::plane {

class Neighbours {
 public:
  static Result<Neighbours> open();

  // Once every kEvery, in small steps, since there may be many. `used`: by the last byte of next hops' MAC addresses, 1 if packets have
  // gone to such a one; it is set to 0. `interfaces`: ifindexes that packets leave by. A step takes microseconds, unless somebody holds the
  // kernel's lock on network configuration.
  void keep(std::span<std::uint8_t, 256> used, const std::set<unsigned>& interfaces, TimePoint now);
  static constexpr Duration kEvery = std::chrono::seconds(5);

 private:
  explicit Neighbours(sys::UniqueFd fd) : fd_(std::move(fd)), buffer_(kBufferBytes) {}
  bool ask();
  void read(const std::set<unsigned>& interfaces);
  void look_at(const void* message, const std::set<unsigned>& interfaces);
  void tell();

  static constexpr std::size_t kBufferBytes = 32 * 1024;
  struct Neighbour {
    std::uint8_t family = 0;
    int ifindex = 0;
    std::uint8_t flags = 0;  // NTF_
    std::array<std::byte, 16> address{};
  };
  sys::UniqueFd fd_;
  TimePoint next_{};
  bool asking_ = false;
  std::array<std::uint8_t, 256> used_{};  // when it was asked
  std::vector<Neighbour> stale_;
  std::vector<char> buffer_;
};

}  // namespace netserv::plane
