// Reads iptables-save's output for what forwarded packets meet: pure. Rules of chains that no built-in chain jumps
// to, and NetServ's own (a jump to a chain NETSERV-...), are left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plane/choice/choice.h"

namespace netserv::plane {

// `tool`: how the table is called for people, "iptables". One entry a chain and pair of interfaces.
std::vector<RuleFacts> saved_rules(std::string_view tool, std::string_view text);

}  // namespace netserv::plane
