// Whether an XDP program may redirect packets to an interface. The kernel does not tell when it can't: such packets
// are lost without a trace.
#pragma once

namespace netserv::plane {

// False, too, if the kernel can't be asked (before 6.3).
bool takes_redirects(unsigned ifindex);

}  // namespace netserv::plane
