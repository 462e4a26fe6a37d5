#include "wire/ncm/selection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "wire/ip/address.h"
#include "wire/ncm/message.h"
#include "wire/ncm/status.h"
#include "wire/ncm/value.h"

namespace netserv::ncm {

bool is_node_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNodeName && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == '_' || c == ':';
  });
}

Result<Selection> parse_selection(std::string_view value) {
  Selection out;
  const std::string word = to_lower(trim(value));
  if (word.empty() || word == "all") return out;
  if (word == "last") return Selection{SelectionMode::kLast, 0, {}};
  if (word == "matching") return Selection{SelectionMode::kMatching, 0, {}};
  if (word.starts_with("first=")) {
    const auto count = parse_unsigned(std::string_view(word).substr(6), 255);
    if (!count || *count == 0) return refuse(StatusCode::kBadValue, "nodes", "first= needs a number from 1 to 255");
    return Selection{SelectionMode::kFirst, static_cast<std::uint8_t>(*count), {}};
  }
  out.mode = SelectionMode::kList;
  NETSERV_ASSIGN(auto items, split_list("nodes", value, kMaxSelectedNodes));
  for (std::string_view item : items) {
    if (!is_node_name(item))
      return refuse(StatusCode::kBadValue, "nodes",
                    fmt::format("\"{}\" is no node's name or address, nor all, last, first=N or matching", shorten(item)));
    const auto address = IpAddress::parse(item);
    out.nodes.push_back(address ? address->to_string() : std::string(item));
  }
  // One element that is a word would read back as the word.
  const std::string printed = to_lower(print_selection(out));
  for (std::string_view taken : {"all", "last", "matching"})
    if (printed == taken) return refuse(StatusCode::kBadValue, "nodes", "names no node");
  return out;
}

std::string print_selection(const Selection& selection) {
  switch (selection.mode) {
    case SelectionMode::kAll: return "all";
    case SelectionMode::kLast: return "last";
    case SelectionMode::kFirst: return fmt::format("first={}", selection.first);
    case SelectionMode::kMatching: return "matching";
    case SelectionMode::kList: return fmt::format("{}", fmt::join(selection.nodes, ","));
  }
  return "all";
}

}  // namespace netserv::ncm
