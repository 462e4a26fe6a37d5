// Reading SIP's small grammar (RFC 3261 section 25) from one header value, never past its end.
//
// A value may be folded: a line end followed by a blank counts as blank (LWS). The line reader has made sure
// that each CR is followed by LF and that by SP or HTAB, so here CR and LF are just blanks.
#ifndef KEEPALIVE_SIP_CURSOR_H
#define KEEPALIVE_SIP_CURSOR_H

#include "netserv/text.hpp"

namespace keepalive {

using netserv::guest::Text;

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
// RFC 3261: token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~")
constexpr bool is_token(char c) {
  if (is_alphanumeric(c)) return true;
  switch (c) {
    case '-': case '.': case '!': case '%': case '*': case '_': case '+': case '`': case '\'': case '~': return true;
    default: return false;
  }
}

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
    uint32_t start = at_;
    while (at_ < text_.size && is_blank(text_[at_])) at_++;
    return at_ != start;
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
  template <class Predicate>
  Text take_while(Predicate accept) {
    uint32_t start = at_;
    while (at_ < text_.size && accept(text_[at_])) at_++;
    return text_.sub(start, at_ - start);
  }
  Text token() { return take_while(is_token); }
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
      take_while([](char c) { return is_token(c) || c == ':' || c == '[' || c == ']'; });
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
