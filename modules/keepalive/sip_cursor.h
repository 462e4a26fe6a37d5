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

// Several bytes at once, in any byte order that has the first one lowest.
template <class Word = uint64_t>
Word word_at(const char* at) {
  Word word;
  __builtin_memcpy(&word, at, sizeof word);
  return word;
}
constexpr uint64_t each_byte(uint8_t value) { return 0x0101010101010101u * value; }
// Not 0 if a byte of `word` is below `limit`, at most 0x80; the lowest bit set then is the top one of the first such byte.
constexpr uint64_t bytes_below(uint64_t word, uint8_t limit) { return (word - each_byte(limit)) & ~word & each_byte(0x80); }

// What reads a request's bytes is part of its caller: as WebAssembly, a Text or a Cursor that is handed over lies in memory.
#define KEEPALIVE_INLINE [[gnu::always_inline]] inline

inline bool is(char c, CharClass wanted) { return kChars.of[static_cast<uint8_t>(c)] & wanted; }
inline bool is_blank(char c) { return is(c, kBlank); }
inline bool is_digit(char c) { return is(c, kDigit); }

// The first byte in [at, end) that is not of the class, or end. Most of a request's bytes go through here.
KEEPALIVE_INLINE const char* end_of_class(const char* at, const char* end, CharClass wanted) {
  for (; end - at >= 4; at += 4) {
    if (!is(at[0], wanted)) return at;
    if (!is(at[1], wanted)) return at + 1;
    if (!is(at[2], wanted)) return at + 2;
    if (!is(at[3], wanted)) return at + 3;
  }
  while (at < end && is(*at, wanted)) at++;
  return at;
}

KEEPALIVE_INLINE Text trim(Text t) {
  uint32_t from = 0, to = t.size;
  while (from < to && is_blank(t[from])) from++;
  while (to > from && is_blank(t[to - 1])) to--;
  return t.sub(from, to - from);
}

// Whether the bytes at `at` are `text`, once the bits of `fold` are set in each. Two words that overlap cover all of it.
template <class Word, uint32_t N>
KEEPALIVE_INLINE bool same_by(const char* at, const char (&text)[N], uint8_t fold) {
  constexpr uint32_t kLast = N - 1 - sizeof(Word);
  static_assert(N - 1 <= 2 * sizeof(Word));
  auto same = [&](uint32_t from) {
    return static_cast<Word>(word_at<Word>(at + from) | each_byte(fold)) == word_at<Word>(text + from);
  };
  return same(0) && same(kLast);
}
template <uint32_t N>
KEEPALIVE_INLINE bool same_bytes(const char* at, const char (&text)[N], uint8_t fold) {
  if constexpr (N > 8) return same_by<uint64_t>(at, text, fold);
  else if constexpr (N > 4) return same_by<uint32_t>(at, text, fold);
  else return same_by<uint16_t>(at, text, fold);
}
// |0x20 folds a letter's two cases, and makes no two other characters alike but control characters and those behind the letters.
inline constexpr uint8_t kAnyCase = 0x20;
// Whether `token` is `lower` in any case.
template <uint32_t N>
KEEPALIVE_INLINE bool is_word(Text token, const char (&lower)[N]) {
  return token.size == N - 1 && same_bytes(token.data, lower, kAnyCase);
}
template <uint32_t N>
KEEPALIVE_INLINE bool begins_with(Text t, const char (&text)[N], uint8_t fold = 0) {
  return t.size >= N - 1 && same_bytes(t.data, text, fold);
}

// All of `t` as decimal, at most `max`.
inline bool parse_number(Text t, uint32_t max, uint32_t& out) {
  return netserv_parse_u32(t.data, t.size, max, &out);
}

class Cursor {
 public:
  explicit Cursor(Text text) : begin_(text.data), at_(text.data), end_(text.data + text.size) {}

  uint32_t position() const { return static_cast<uint32_t>(at_ - begin_); }
  bool at_end() const { return at_ == end_; }
  char peek() const { return at_ < end_ ? *at_ : '\0'; }
  // What was gone past since `position`.
  KEEPALIVE_INLINE Text since(uint32_t position) const { return since(begin_ + position); }
  // Goes past blanks; true if there was one.
  KEEPALIVE_INLINE bool skip_blanks() {
    const char* const start = at_;
    while (at_ < end_ && is_blank(*at_)) at_++;
    return at_ != start;
  }
  KEEPALIVE_INLINE bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    at_++;
    return true;
  }
  // What begins with `lower`, in any case.
  template <uint32_t N>
  KEEPALIVE_INLINE bool take_word(const char (&lower)[N]) {
    if (!begins_with({at_, static_cast<uint32_t>(end_ - at_)}, lower, kAnyCase)) return false;
    at_ += N - 1;
    return true;
  }
  // c with blanks allowed around it, as SLASH, SEMI, EQUAL and COMMA have.
  KEEPALIVE_INLINE bool take_separator(char c) {
    const char* const start = at_;
    skip_blanks();
    if (!take(c)) {
      at_ = start;
      return false;
    }
    skip_blanks();
    return true;
  }
  // What follows of one class.
  KEEPALIVE_INLINE Text take_all(CharClass wanted) {
    const char* const start = at_;
    at_ = end_of_class(at_, end_, wanted);
    return since(start);
  }
  template <class Predicate>
  Text take_while(Predicate accept) {
    const char* const start = at_;
    while (at_ < end_ && accept(*at_)) at_++;
    return since(start);
  }
  KEEPALIVE_INLINE Text token() { return take_all(kToken); }
  // "..." with \ escapes. False if it does not begin or does not end.
  bool quoted_string() {
    if (!take('"')) return false;
    while (at_ < end_) {
      const char c = *at_++;
      if (c == '"') return true;
      if (c == '\\') {
        if (at_ == end_) return false;
        at_++;
      }
    }
    return false;
  }
  // generic-param: ";" name [ "=" value ], the semicolon still ahead. False at anything else. `value` is empty
  // without "=", and without its quotes looked into. `name_end` is where the name ended.
  KEEPALIVE_INLINE bool parameter(Text& name, Text& value, bool& has_value, uint32_t& name_end) {
    if (!take_separator(';')) return false;
    name = token();
    name_end = position();
    has_value = take_separator('=');
    value = {};
    if (name.empty()) return false;
    if (!has_value) return true;
    const char* const start = at_;
    if (peek() == '"') {
      if (!quoted_string()) return false;
    } else {
      take_all(kParameter);
    }
    value = since(start);
    return !value.empty();
  }

 private:
  KEEPALIVE_INLINE Text since(const char* start) const { return {start, static_cast<uint32_t>(at_ - start)}; }

  const char* begin_;
  const char* at_;
  const char* end_;
};

}  // namespace keepalive

#endif  // KEEPALIVE_SIP_CURSOR_H
