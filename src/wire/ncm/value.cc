#include "wire/ncm/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "wire/ncm/message.h"
#include "wire/ncm/status.h"

namespace netserv::ncm {
namespace {

template <class T>
std::optional<T> parse_number(std::string_view text, T min, T max) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t max) {
  return parse_number<std::uint64_t>(text, 0, max);
}
std::optional<std::int64_t> parse_signed(std::string_view text, std::int64_t min, std::int64_t max) {
  return parse_number<std::int64_t>(text, min, max);
}

Result<std::vector<std::string_view>> split_list(std::string_view header, std::string_view value,
                                                 std::size_t limit) {
  std::vector<std::string_view> out;
  if (trim(value).empty()) return out;
  while (true) {
    std::size_t comma = value.find(',');
    std::string_view item = trim(value.substr(0, comma));
    if (item.empty()) return refuse(StatusCode::kBadValue, std::string(header), "has an empty element in its list");
    if (out.size() == limit)
      return refuse(StatusCode::kTooLarge, std::string(header), fmt::format("lists more than {} values", limit));
    out.push_back(item);
    if (comma == std::string_view::npos) return out;
    value.remove_prefix(comma + 1);
  }
}

std::string_view take_word(std::string_view& text) {
  text = trim(text);
  std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

std::string_view shorten(std::string_view text) { return text.substr(0, std::min<std::size_t>(text.size(), 48)); }

}  // namespace netserv::ncm
