// Splits a SIP request into its request line and header fields (RFC 3261 section 7). Strict, since what is odd
// is the server's to judge: lines end with CRLF only, and no other control character but HTAB may occur.
#ifndef KEEPALIVE_SIP_LINES_H
#define KEEPALIVE_SIP_LINES_H

#include "keepalive/sip_cursor.h"

namespace keepalive {

// Index of the first byte below 0x20 from `at` on, or t.size.
KEEPALIVE_INLINE uint32_t find_control(Text t, uint32_t at) {
  for (; t.size - at >= 8; at += 8)
    if (const uint64_t below = bytes_below(word_at(t.data + at), 0x20)) return at + static_cast<uint32_t>(__builtin_ctzll(below)) / 8;
  while (at < t.size && static_cast<uint8_t>(t[at]) >= 0x20) at++;
  return at;
}

// The first ':' in [at, end), or end; a control character before it ends the search.
KEEPALIVE_INLINE const char* find_colon(const char* at, const char* end) {
  for (; end - at >= 8; at += 8) {
    const uint64_t word = word_at(at), colons = bytes_below(word ^ each_byte(':'), 1);
    if (const uint64_t found = colons | bytes_below(word, 0x20)) {
      at += __builtin_ctzll(found) / 8;
      return *at == ':' ? at : end;
    }
  }
  for (; at < end && static_cast<uint8_t>(*at) >= 0x20; at++)
    if (*at == ':') return at;
  return end;
}

class LineReader {
 public:
  // `at` must be at most text.size.
  explicit LineReader(Text text, uint32_t at = 0) : text_(text), at_(at) {}

  enum class Next { kLine, kEndOfHeaders, kMalformed };

  // One line without its CRLF; no folding (the request line).
  Next line(Text& out) {
    uint32_t start = at_, end = at_;
    if (!find_line_end(end)) return Next::kMalformed;
    out = text_.sub(start, end - start);
    at_ = end + 2;
    return Next::kLine;
  }
  // One header field with its folded lines. `name` is all before the colon, which may be no token; `value` is trimmed.
  KEEPALIVE_INLINE Next header(Text& name, Text& value) {
    const char* const begin = text_.data + at_;
    const char* const stop = text_.data + text_.size;
    if (stop - begin >= 2 && begin[0] == '\r' && begin[1] == '\n') {
      at_ += 2;
      return Next::kEndOfHeaders;
    }
    const char* colon = find_colon(begin, stop);
    if (colon == stop && (colon = colon_after_blanks(begin, stop)) == stop) return Next::kMalformed;
    name = {begin, static_cast<uint32_t>(colon - begin)};
    const uint32_t start = static_cast<uint32_t>(colon + 1 - text_.data);
    uint32_t end = start;
    for (;;) {
      if (!find_line_end(end)) return Next::kMalformed;
      at_ = end + 2;
      if (at_ == text_.size || (text_[at_] != ' ' && text_[at_] != '\t')) break;
      end = at_;
    }
    value = trim(text_.sub(start, end - start));
    return Next::kLine;
  }
  // What follows the headers.
  Text rest() const { return text_.sub(at_); }

 private:
  // With a HTAB before it; `stop` if there is no colon.
  static const char* colon_after_blanks(const char* at, const char* stop) {
    at = end_of_class(at, stop, kToken);
    while (at < stop && (*at == ' ' || *at == '\t')) at++;
    return at < stop && *at == ':' ? at : stop;
  }
  // Moves `at` to the CR of the next CRLF.
  KEEPALIVE_INLINE bool find_line_end(uint32_t& at) const {
    for (;;) {
      at = find_control(text_, at);
      if (at + 2 > text_.size) return false;
      if (text_[at] == '\t') {
        at++;
        continue;
      }
      return text_[at] == '\r' && text_[at + 1] == '\n';
    }
  }

  Text text_;
  uint32_t at_;
};

}  // namespace keepalive

#endif  // KEEPALIVE_SIP_LINES_H
