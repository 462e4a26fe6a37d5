// The `properties` header: "key=value,key=value". A backslash makes the next character an ordinary one, so
// that values may hold ',' '=' and '\'. Blanks around keys and values do not count unless escaped.
// Keys that start with "netserv." are the node's; they become NodeProperties. The rest is the module's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace netserv::ncm {

inline constexpr std::size_t kMaxProperties = 64;

enum class PathMode : unsigned char { kInPath, kObserver };  // netserv.mode=path | observe
enum class FailMode : unsigned char { kOpen, kClosed };      // netserv.fail=open | closed

struct NodeProperties {
  std::int32_t order = 0;              // netserv.order: place in the chain, lower runs earlier
  std::optional<PathMode> mode;        // absent: as the module's manifest says
  std::optional<std::uint16_t> snaplen;  // netserv.snaplen: bytes of a copy that an observer gets, 20 to 2048
  std::optional<std::uint32_t> sample;   // netserv.sample: one packet in so many, 1 to 1000000
  FailMode fail = FailMode::kOpen;
  bool operator==(const NodeProperties&) const = default;
};

struct Properties {
  NodeProperties node;
  std::map<std::string, std::string> module;
  bool operator==(const Properties&) const = default;
};

Result<Properties> parse_properties(std::string_view value);
// Defaults are left out. parse_properties(print_properties(p)) == p.
std::string print_properties(const Properties& properties);

}  // namespace netserv::ncm
