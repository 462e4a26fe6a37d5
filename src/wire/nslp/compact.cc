#include "wire/nslp/compact.h"

namespace netserv::nslp {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
// Shorter ones gain too little.
constexpr std::size_t kMinText = 16;

std::string to_base64(ByteSpan bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t three = 0;
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - at);
    for (std::size_t i = 0; i < 3; ++i)
      three = three << 8 | (i < have ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0);
    for (std::size_t i = 0; i < 4; ++i) out += i <= have ? kAlphabet[three >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

std::optional<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  Bytes out;
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    out.push_back(std::byte(bits >> have & 0xff));
  }
  return out;
}

}  // namespace

CompactValue compact(std::string_view text) {
  if (text.size() >= kMinText) {
    Bytes bytes;
    if (from_hex(text, bytes) && to_hex(bytes) == text) return {ValueForm::kHex, std::move(bytes)};
    auto decoded = from_base64(text);
    if (decoded && to_base64(*decoded) == text) return {ValueForm::kBase64, std::move(*decoded)};
  }
  const ByteSpan plain = as_bytes(text);
  return {ValueForm::kText, Bytes(plain.begin(), plain.end())};
}

std::optional<std::string> expand(std::uint8_t form, ByteSpan bytes) {
  std::string text;
  switch (form) {
    case static_cast<std::uint8_t>(ValueForm::kText): text = as_text(bytes); break;
    case static_cast<std::uint8_t>(ValueForm::kHex): text = to_hex(bytes); break;
    case static_cast<std::uint8_t>(ValueForm::kBase64): text = to_base64(bytes); break;
    default: return std::nullopt;
  }
  if (static_cast<std::uint8_t>(compact(text).form) != form) return std::nullopt;
  return text;
}

}  // namespace netserv::nslp
