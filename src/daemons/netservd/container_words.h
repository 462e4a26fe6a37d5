// What a container says, held to what a container can have to say. It is a stranger: whoever has taken over its process
// writes these messages byte by byte.
#pragma once

#include "base/result.h"
#include "wire/ipc/container_messages.h"

namespace netserv::daemon {

inline constexpr std::size_t kMostWords = 2048;  // bytes of one text

// An error: no container of ours says that (more modules than it has slots, one of them twice, an id that is none).
// Texts, which reach logs, terminals and publishers, are cut to kMostWords and lose their control characters.
Status hold_to_shape(ipc::FromContainer& message);

}  // namespace netserv::daemon
