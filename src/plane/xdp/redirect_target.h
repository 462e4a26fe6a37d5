// Whether an XDP program may redirect packets to an interface. The kernel does not tell when it can't: such packets
// are lost without a trace.
#pragma once

#include <memory>

struct mnl_socket;

namespace netserv::plane {

// False, too, if the kernel can't be asked (before 6.3).
bool takes_redirects(unsigned ifindex);

// Tells when that may have changed of some interface in this network namespace.
class RedirectWatch {
 public:
  // None if the kernel does not tell (before 6.3).
  static std::unique_ptr<RedirectWatch> open();
  ~RedirectWatch();
  RedirectWatch(const RedirectWatch&) = delete;
  RedirectWatch& operator=(const RedirectWatch&) = delete;

  // Since the last call. Never blocks.
  bool anything();

 private:
  explicit RedirectWatch(mnl_socket* socket) : socket_(socket) {}
  mnl_socket* socket_;
};

}  // namespace netserv::plane
