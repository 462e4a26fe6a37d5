// Reading SIP's small grammar (RFC 3261 section 25) from one header value, never past its end.
//
// A value may be folded: a line end followed by a blank counts as blank (LWS). The line reader has made sure
// that each CR is followed by LF and that by SP or HTAB, so here CR and LF are just blanks.
#ifndef KEEPALIVE_SIP_CURSOR_H
#define KEEPALIVE_SIP_CURSOR_H

#include "netserv/text.hpp"

namespace keepalive {

using netserv::guest::Text;

// Character classes of the grammar, one bit each; a value's bytes are judged by one look each.
using CharClass = uint8_t;
inline constexpr CharClass kBlank = 1;       // SP, HTAB, and CR and LF of a folded line
inline constexpr CharClass kDigit = 2;
inline constexpr CharClass kToken = 4;       // alphanum or one of -.!%*_+`'~
inline constexpr CharClass kHost = 8;        // of a host name or IPv4 address
inline constexpr CharClass kUri = 16;        // anything visible but < > "
inline constexpr CharClass kScheme = 32;     // of a URI
inline constexpr CharClass kParameter = 64;  // of a parameter's unquoted value: token, or of an address
inline constexpr CharClass kPlain = 128;     // all but < ; , ? "

struct CharTable {
  CharClass of[256] = {};
};
constexpr CharTable make_char_table() {
  CharTable table;
  for (unsigned i = 0; i < 256; i++) {
    const char c = static_cast<char>(i);
    const bool digit = c >= '0' && c <= '9';
    const bool alphanumeric = digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    auto one_of = [c](const char* set) {
      for (; *set; set++)
        if (*set == c) return true;
      return false;
    };
    const bool token = alphanumeric || one_of("-.!%*_+`'~");
    CharClass bits = 0;
    if (one_of(" \t\r\n")) bits |= kBlank;
    if (digit) bits |= kDigit;
    if (token) bits |= kToken;
    if (alphanumeric || one_of("-._")) bits |= kHost;
    if (i > ' ' && i < 0x7f && !one_of("<>\"")) bits |= kUri;
    if (alphanumeric || one_of("+-.")) bits |= kScheme;
    if (token || one_of(":[]")) bits |= kParameter;
    if (!one_of("<;,?\"")) bits |= kPlain;
    table.of[i] = bits;
  }
  return table;
}
inline constexpr CharTable kChars = make_char_table();

inline bool is(char c, CharClass wanted) { return kChars.of[static_cast<uint8_t>(c)] & wanted; }
inline bool is_blank(char c) { return is(c, kBlank); }
inline bool is_digit(char c) { return is(c, kDigit); }

inline Text trim(Text t) {
  uint32_t from = 0, to = t.size;
  while (from < to && is_blank(t[from])) from++;
  while (to > from && is_blank(t[to - 1])) to--;
  return t.sub(from, to - from);
}

// All of `t` as decimal, at most `max`.
inline bool parse_number(Text t, uint32_t max, uint32_t& out) {
  return netserv_parse_u32(t.data, t.size, max, &out);
}

class Cursor {
 public:
  explicit Cursor(Text text) : text_(text) {}

  uint32_t position() const { return at_; }
  bool at_end() const { return at_ == text_.size; }
  char peek() const { return at_ < text_.size ? text_[at_] : '\0'; }
  // Goes past blanks; true if there was one.
  bool skip_blanks() {
    return !take_all(kBlank).empty();
  }
  bool take(char c) {
    if (at_ == text_.size || text_[at_] != c) return false;
    at_++;
    return true;
  }
  // c with blanks allowed around it, as SLASH, SEMI, EQUAL and COMMA have.
  bool take_separator(char c) {
    uint32_t start = at_;
    skip_blanks();
    if (!take(c)) {
      at_ = start;
      return false;
    }
    skip_blanks();
    return true;
  }
  // What follows of one class.
  Text take_all(CharClass wanted) {
    const uint32_t start = at_;
    uint32_t at = start;
    while (at < text_.size && is(text_[at], wanted)) at++;
    at_ = at;
    return text_.sub(start, at - start);
  }
  template <class Predicate>
  Text take_while(Predicate accept) {
    const uint32_t start = at_;
    uint32_t at = start;
    while (at < text_.size && accept(text_[at])) at++;
    at_ = at;
    return text_.sub(start, at - start);
  }
  Text token() { return take_all(kToken); }
  // "..." with \ escapes. False if it does not begin or does not end.
  bool quoted_string() {
    if (!take('"')) return false;
    while (at_ < text_.size) {
      char c = text_[at_++];
      if (c == '"') return true;
      if (c == '\\') {
        if (at_ == text_.size) return false;
        at_++;
      }
    }
    return false;
  }
  // generic-param: ";" name [ "=" value ], the semicolon still ahead. False at anything else. `value` is empty
  // without "=", and without its quotes looked into. `name_end` is where the name ended.
  bool parameter(Text& name, Text& value, bool& has_value, uint32_t& name_end) {
    if (!take_separator(';')) return false;
    name = token();
    name_end = at_;
    has_value = take_separator('=');
    value = {};
    if (name.empty()) return false;
    if (!has_value) return true;
    uint32_t start = at_;
    if (peek() == '"') {
      if (!quoted_string()) return false;
    } else {
      take_all(kParameter);
    }
    value = text_.sub(start, at_ - start);
    return !value.empty();
  }

 private:
  Text text_;
  uint32_t at_ = 0;
};

}  // namespace keepalive

#endif  // KEEPALIVE_SIP_CURSOR_H
