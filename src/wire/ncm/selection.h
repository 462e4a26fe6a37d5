// The `nodes` header: which nodes on a path act on a request that is sent along it. Signed like any header.
//
//     all | last | first=N | matching | NODE,NODE,...
//
// `matching`: nodes that have the building blocks which `dependencies` names. NODE is a node's name or one of its
// addresses. A name equal to one of the words can't be chosen.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace netserv::ncm {

inline constexpr std::size_t kMaxSelectedNodes = 64;
inline constexpr std::size_t kMaxNodeName = 64;

enum class SelectionMode : std::uint8_t { kAll, kLast, kFirst, kMatching, kList };

struct Selection {
  SelectionMode mode = SelectionMode::kAll;
  std::uint8_t first = 0;          // kFirst: 1 to 255
  std::vector<std::string> nodes;  // kList: names as given, addresses in their usual form
  bool operator==(const Selection&) const = default;
};

// An empty value means all. Errors: subject "nodes".
Result<Selection> parse_selection(std::string_view value);
// parse_selection(print_selection(s)) == s.
std::string print_selection(const Selection& selection);
// Letters, digits, '.', '-', '_' and ':', at most kMaxNodeName of them.
bool is_node_name(std::string_view name);

}  // namespace netserv::ncm
