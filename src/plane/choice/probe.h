// Asks the kernel for the facts that the choice of a plane is made from. Changes nothing.
#pragma once

#include "plane/choice/choice.h"

namespace netserv::plane {

// What can't be asked (no permission, no such tool) is named in HostFacts::unknown.
HostFacts probe_host();

}  // namespace netserv::plane
