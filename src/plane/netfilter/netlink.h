// What our two netfilter sockets (NFQUEUE, NFLOG) have in common: a socket, the start of a message, and a question
// that the kernel answers with an error code.
#pragma once

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstdint>

#include "base/result.h"
#include "plane/netlink_attributes.h"
#include "sys/fd.h"

namespace netserv::plane {

// Bound, with large buffers; ask() waits five seconds at most.
Result<sys::UniqueFd> open_netfilter_socket(const char* subject);
// From now on overruns no longer fail our reads; gaps in the kernel's numbers tell of them.
void ignore_overruns(int fd);

// Header and nfgenmsg at `at`; attributes may follow. `resource`: the number of the queue or group.
nlmsghdr* start_netfilter_message(void* at, std::uint8_t subsystem, std::uint8_t type, std::uint16_t resource,
                                  std::uint16_t flags);
template <std::uint16_t kLast>
Attributes<kLast> attributes_of(const nlmsghdr* message) {
  return attributes_of<kLast>(message, sizeof(nfgenmsg));
}
// Sends a message that asks for an acknowledgement and waits for it. What else arrives meanwhile is thrown away.
Status ask_netfilter(int fd, const nlmsghdr* message, const char* subject, const char* what);

}  // namespace netserv::plane
