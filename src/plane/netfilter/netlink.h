// What our two netfilter sockets (NFQUEUE, NFLOG) have in common: a socket, the start of a message, and a question
// that the kernel answers with an error code.
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "sys/fd.h"

namespace netserv::plane {

// Bound, with large buffers; ask() waits five seconds at most.
Result<sys::UniqueFd> open_netfilter_socket(const char* subject);
// From now on overruns no longer fail our reads; gaps in the kernel's numbers tell of them.
void ignore_overruns(int fd);

// Header and nfgenmsg at `at`; attributes may follow. `resource`: the number of the queue or group.
nlmsghdr* start_netfilter_message(void* at, std::uint8_t subsystem, std::uint8_t type, std::uint16_t resource,
                                  std::uint16_t flags);
// A message's attributes up to type kLast, by type; null: not there.
template <std::uint16_t kLast>
using Attributes = std::array<const nlattr*, kLast + 1>;
// For libmnl, which hands them over one by one; `data` is what takes them.
template <std::uint16_t kLast>
int collect(const nlattr* attribute, void* data) {
  auto& found = *static_cast<Attributes<kLast>*>(data);
  if (mnl_attr_get_type(attribute) <= kLast) found[mnl_attr_get_type(attribute)] = attribute;
  return MNL_CB_OK;
}
inline bool has_bytes(const nlattr* attribute, std::size_t least) {
  return attribute != nullptr && mnl_attr_get_payload_len(attribute) >= least;
}

// Sends a message that asks for an acknowledgement and waits for it. What else arrives meanwhile is thrown away.
Status ask_netfilter(int fd, const nlmsghdr* message, const char* subject, const char* what);

}  // namespace netserv::plane
