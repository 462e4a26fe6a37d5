// Header values in fewer bytes where their text has a binary meaning: hex digests and nonces, base64 signatures. Only
// if the text comes back byte for byte; any other value travels as it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace netserv::nslp {

enum class ValueForm : std::uint8_t { kText = 0, kHex = 1, kBase64 = 2 };

struct CompactValue {
  ValueForm form = ValueForm::kText;
  Bytes bytes;
  bool operator==(const CompactValue&) const = default;
};

CompactValue compact(std::string_view text);
// Empty if `form` is none of ours or compact() would not have given this.
std::optional<std::string> expand(std::uint8_t form, ByteSpan bytes);

}  // namespace netserv::nslp
