// The sockets of building block udp/1: datagram sockets in the container's network namespace, a few a module.
// Handles are small numbers of a module's own. Functions return a negative errno on failure, as the ABI says.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "sys/fd.h"

namespace netserv::container {

class UdpSockets {
 public:
  static constexpr std::size_t kPerModule = 16;

  int open(ModuleSlot owner, int family, std::uint16_t local_port);
  int send(ModuleSlot owner, int handle, int family, std::span<const std::byte> address, std::uint16_t port,
           std::span<const std::byte> data);
  int receive(ModuleSlot owner, int handle, int& family, std::span<std::byte> address, std::uint16_t& port,
              std::span<std::byte> out);
  int close(ModuleSlot owner, int handle);
  void close_all(ModuleSlot owner);
  // Not polled until the module has received from it. Set before the module is told that it is readable: one
  // that doesn't care must not keep the container awake.
  void mute(ModuleSlot owner, int handle);

  struct Socket {
    ModuleSlot owner;
    int handle = 0;
    int family = 0;
    sys::UniqueFd fd;
    bool muted = false;
  };
  // In the order in which add_to_poll() appends them.
  const std::vector<Socket>& sockets() const { return sockets_; }
  void add_to_poll(std::vector<pollfd>& out) const;

 private:
  Socket* find(ModuleSlot owner, int handle);
  std::vector<Socket> sockets_;
};

}  // namespace netserv::container
