// The names that cross folder lines.
#pragma once

#include <cstdint>
#include <string>

#include "base/strong_id.h"

namespace netserv {

using PublisherId = StrongId<struct PublisherTag, std::string>;
// "name_version": the version follows the last '_'.
using ModuleId = StrongId<struct ModuleTag, std::string>;
// Numbers a container on its node; never used again while the node's database lives.
using ContainerId = StrongId<struct ContainerTag, std::uint32_t>;
// A module's place in its container, 0..63: its bit in a packet descriptor's `modules`.
using ModuleSlot = StrongId<struct ModuleSlotTag, std::uint8_t>;
inline constexpr unsigned kMaxModulesPerContainer = 64;

}  // namespace netserv
