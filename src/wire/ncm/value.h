// Small readers shared by the headers' values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace netserv::ncm {

// Decimal digits only (no sign, no blanks), at most `max`.
std::optional<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t max);
std::optional<std::int64_t> parse_signed(std::string_view text, std::int64_t min, std::int64_t max);

// Trimmed elements of a comma list; none for an empty value. Refuses empty elements and more than `limit`.
Result<std::vector<std::string_view>> split_list(std::string_view header, std::string_view value, std::size_t limit);

// Takes the next blank-separated word off `text`.
std::string_view take_word(std::string_view& text);

// For error texts: at most 48 bytes of a stranger's text.
std::string_view shorten(std::string_view text);

}  // namespace netserv::ncm
