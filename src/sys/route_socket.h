// A socket of rtnetlink(7).
#pragma once

#include <cstdint>

#include "base/result.h"
#include "sys/fd.h"

namespace netserv::sys {

enum class Blocking : bool { kNo, kYes };
// Bound; told of `groups` (RTMGRP_), 0: none.
Result<UniqueFd> open_route_socket(std::uint32_t groups, Blocking blocking);

}  // namespace netserv::sys
