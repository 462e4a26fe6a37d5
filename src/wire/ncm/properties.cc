#include "wire/ncm/properties.h"

#include <fmt/format.h>

#include "wire/ncm/message.h"
#include "wire/ncm/status.h"
#include "wire/ncm/value.h"

namespace netserv::ncm {
namespace {

constexpr std::string_view kHeader = "properties";

tl::unexpected<Error> bad(std::string text) { return refuse(StatusCode::kBadValue, std::string(kHeader), std::move(text)); }

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Reads up to an unescaped character of `stops` or the end; unescapes, trims what was not escaped.
Result<std::string> take_token(std::string_view& text, std::string_view stops) {
  std::string out;
  std::size_t keep = 0;  // out is not trimmed below this length
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && stops.find(text.front()) == std::string_view::npos) {
    bool escaped = text.front() == '\\';
    if (escaped) text.remove_prefix(1);
    if (text.empty()) {
      out += ' ';  // an escaped blank at the header's end, which trimming has taken
      return out;
    }
    if (escaped && text.front() == '\t') return bad("escapes a tab");  // at the header's end it would be trimmed
    out += text.front();
    if (escaped || !is_blank(text.front())) keep = out.size();
    text.remove_prefix(1);
  }
  out.resize(keep);
  return out;
}

Status set_node_property(NodeProperties& node, std::string_view key, std::string_view value) {
  if (key == "netserv.order") {
    auto n = parse_signed(value, -1000000, 1000000);
    if (!n) return bad("netserv.order must be -1000000 to 1000000");
    node.order = static_cast<std::int32_t>(*n);
    return {};
  }
  if (key == "netserv.mode") {
    if (value != "path" && value != "observe") return bad("netserv.mode must be path or observe");
    node.mode = value == "path" ? PathMode::kInPath : PathMode::kObserver;
    return {};
  }
  if (key == "netserv.snaplen") {
    auto n = parse_unsigned(value, 2048);
    if (!n || *n < 20) return bad("netserv.snaplen must be 20 to 2048");
    node.snaplen = static_cast<std::uint16_t>(*n);
    return {};
  }
  if (key == "netserv.sample") {
    auto n = parse_unsigned(value, 1000000);
    if (!n || *n < 1) return bad("netserv.sample must be 1 to 1000000");
    node.sample = static_cast<std::uint32_t>(*n);
    return {};
  }
  if (key == "netserv.fail") {
    if (value != "open" && value != "closed") return bad("netserv.fail must be open or closed");
    node.fail = value == "open" ? FailMode::kOpen : FailMode::kClosed;
    return {};
  }
  return bad(fmt::format("\"{}\" is no property of the node (netserv.order, mode, snaplen, sample, fail)",
                         shorten(key)));
}

// `also` is escaped besides the backslash and the comma.
std::string escape(std::string_view text, char also) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool edge_blank = is_blank(text[i]) && (i == 0 || i + 1 == text.size());
    if (text[i] == '\\' || text[i] == ',' || text[i] == also || edge_blank) out += '\\';
    out += text[i];
  }
  return out;
}

}  // namespace

Result<Properties> parse_properties(std::string_view value) {
  Properties out;
  std::map<std::string, std::string> seen;
  std::string_view rest = trim(value);
  while (!rest.empty()) {
    NETSERV_ASSIGN(std::string key, take_token(rest, "=,"));
    if (key.empty()) return bad("has an entry without a key");
    if (rest.empty() || rest.front() != '=') return bad(fmt::format("\"{}\" has no '='", shorten(key)));
    rest.remove_prefix(1);
    NETSERV_ASSIGN(std::string property, take_token(rest, ","));
    if (seen.size() == kMaxProperties)
      return refuse(StatusCode::kTooLarge, std::string(kHeader), fmt::format("more than {}", kMaxProperties));
    if (!seen.emplace(key, property).second) return bad(fmt::format("\"{}\" is there twice", shorten(key)));
    if (!rest.empty()) {
      rest.remove_prefix(1);
      if (trim(rest).empty()) return bad("ends with a comma");
    }
    if (key.starts_with("netserv.")) {
      NETSERV_TRY(set_node_property(out.node, key, property));
      continue;
    }
    out.module.emplace(std::move(key), std::move(property));
  }
  return out;
}

std::string print_properties(const Properties& p) {
  std::string out;
  auto add = [&out](std::string_view key, std::string_view value) {
    if (!out.empty()) out += ',';
    out += escape(key, '=') + '=' + escape(value, ',');
  };
  for (const auto& [key, value] : p.module) add(key, value);
  if (p.node.order != 0) add("netserv.order", std::to_string(p.node.order));
  if (p.node.mode) add("netserv.mode", *p.node.mode == PathMode::kInPath ? "path" : "observe");
  if (p.node.snaplen) add("netserv.snaplen", std::to_string(*p.node.snaplen));
  if (p.node.sample) add("netserv.sample", std::to_string(*p.node.sample));
  if (p.node.fail == FailMode::kClosed) add("netserv.fail", "closed");
  return out;
}

}  // namespace netserv::ncm
