#include "keepalive/sip_request.h"

#include "keepalive/sip_lines.h"

namespace keepalive {
namespace {

using netserv::guest::equal_ignoring_case;

// The header fields that matter, with RFC 3261's and RFC 6665's compact forms.
enum class Header : uint8_t {
  kVia, kFrom, kTo, kCallId, kCSeq, kEvent, kContentLength, kMaxForwards, kRoute, kRequire, kOther
};
constexpr uint32_t kHeaders = static_cast<uint32_t>(Header::kOther);

KEEPALIVE_INLINE Header header_of(Text name) {
  if (name.size == 1) {
    switch (name[0] | 0x20) {
      case 'v': return Header::kVia;
      case 'f': return Header::kFrom;
      case 't': return Header::kTo;
      case 'i': return Header::kCallId;
      case 'o': return Header::kEvent;
      case 'l': return Header::kContentLength;
      default: return Header::kOther;
    }
  }
  switch (name.size) {
    case 2: return is_word(name, "to") ? Header::kTo : Header::kOther;
    case 3: return is_word(name, "via") ? Header::kVia : Header::kOther;
    case 4: return is_word(name, "from") ? Header::kFrom : is_word(name, "cseq") ? Header::kCSeq : Header::kOther;
    case 5: return is_word(name, "event") ? Header::kEvent : is_word(name, "route") ? Header::kRoute : Header::kOther;
    case 7:
      return is_word(name, "call-id") ? Header::kCallId : is_word(name, "require") ? Header::kRequire : Header::kOther;
    case 12: return is_word(name, "max-forwards") ? Header::kMaxForwards : Header::kOther;
    case 13: return is_word(name, "proxy-require") ? Header::kRequire : Header::kOther;
    case 14: return is_word(name, "content-length") ? Header::kContentLength : Header::kOther;
    default: return Header::kOther;
  }
}

// A header field's name with the blanks behind it. False if that is no token.
bool take_name(Text& name) {
  const char* const stop = name.data + name.size;
  const char* const end = end_of_class(name.data, stop, kToken);
  for (const char* at = end; at < stop; at++)
    if (*at != ' ' && *at != '\t') return false;
  name.size = static_cast<uint32_t>(end - name.data);
  return !name.empty();
}

KEEPALIVE_INLINE bool skip_parameters(Cursor& cursor) {
  Text name, value;
  bool has_value;
  uint32_t name_end;
  while (!cursor.at_end())
    if (!cursor.parameter(name, value, has_value, name_end)) return false;
  return true;
}

struct Via {
  Text host;
  bool udp = false;
  bool answerable = true;  // no received, no maddr, no rport with a value
  uint32_t end = 0;
  uint32_t rport_end = 0;
};

// One via-parm: "SIP/2.0/UDP host:port;parameters", up to a comma or the end.
KEEPALIVE_INLINE bool parse_via(Cursor& cursor, Via& out) {
  if (cursor.take_word("sip/2.0/udp ")) {  // as nearly everybody writes it
    cursor.skip_blanks();
    out.udp = true;
  } else {
    if (!is_word(cursor.token(), "sip") || !cursor.take_separator('/')) return false;
    if (!is_word(cursor.token(), "2.0") || !cursor.take_separator('/')) return false;
    Text transport = cursor.token();
    if (transport.empty() || !cursor.skip_blanks()) return false;
    out.udp = is_word(transport, "udp");
  }
  uint32_t start = cursor.position();
  if (cursor.take('[')) {
    cursor.take_while([](char c) { return is(c, kHost) || c == ':'; });
    if (!cursor.take(']')) return false;
  } else if (cursor.take_all(kHost).empty()) {
    return false;
  }
  out.host = cursor.since(start);
  uint32_t port;
  if (cursor.take_separator(':') && !parse_number(cursor.take_all(kDigit), 65535, port)) return false;
  for (;;) {
    out.end = cursor.position();
    cursor.skip_blanks();
    if (cursor.at_end() || cursor.peek() == ',') return true;
    Text name, parameter_value;
    bool has_value;
    uint32_t name_end;
    if (!cursor.parameter(name, parameter_value, has_value, name_end)) return false;
    if (is_word(name, "rport")) {
      if (has_value || out.rport_end != 0) out.answerable = false;
      out.rport_end = name_end;
    } else if (is_word(name, "received") || is_word(name, "maddr")) {
      out.answerable = false;
    }
  }
}

// All elements of one Via header field; the first of the first is what an answer fills in.
KEEPALIVE_INLINE bool read_via_line(Text value, Request& out) {
  if (out.via_lines == kMaxViaLines) return false;
  Cursor cursor(value);
  for (bool first = out.via_lines == 0;; first = false) {
    Via via;
    if (!parse_via(cursor, via)) return false;
    if (first) {
      if (!via.udp || !via.answerable) return false;
      out.sent_by_host = via.host;
      out.top_via_end = via.end;
      out.rport_end = via.rport_end;
    }
    if (cursor.at_end()) break;
    cursor.take_separator(',');
  }
  out.via[out.via_lines++] = value;
  return true;
}

// scheme ":" something, of what has been found to be all kUri.
KEEPALIVE_INLINE bool is_uri(Text uri) {
  Cursor cursor(uri);
  if (cursor.take_word("sip:")) return !cursor.at_end();
  Text scheme = cursor.take_all(kScheme);
  return !scheme.empty() && !is_digit(scheme[0]) && cursor.take(':') && !cursor.at_end();
}

// From or To: name-addr or addr-spec, then parameters.
KEEPALIVE_INLINE bool parse_party(Text value, bool& has_tag) {
  Cursor cursor(value);
  if (cursor.peek() == '"') {
    if (!cursor.quoted_string()) return false;
    cursor.skip_blanks();
    if (cursor.peek() != '<') return false;
  }
  // Display name of tokens, or the whole addr-spec: neither holds '<', ';' or ','.
  Text plain = cursor.take_all(kPlain);
  if (cursor.take('<')) {
    Cursor name(plain);
    while (!name.at_end())
      if (!name.skip_blanks() && name.token().empty()) return false;
    if (!is_uri(cursor.take_all(kUri)) || !cursor.take('>')) return false;
  } else {
    Cursor bare(trim(plain));
    if (!is_uri(bare.take_all(kUri)) || !bare.at_end()) return false;
  }
  has_tag = false;
  while (!cursor.at_end()) {
    Text name, parameter_value;
    bool has_value;
    uint32_t name_end;
    if (!cursor.parameter(name, parameter_value, has_value, name_end)) return false;
    if (!is_word(name, "tag")) continue;
    if (has_tag || !has_value) return false;
    has_tag = true;
  }
  return true;
}

KEEPALIVE_INLINE bool parse_cseq(Text value, Text method) {
  Cursor cursor(value);
  uint32_t number;
  if (!parse_number(cursor.take_all(kDigit), 0x7fffffff, number) || !cursor.skip_blanks()) return false;
  return cursor.token() == method && cursor.at_end();
}

// Visible ASCII.
KEEPALIVE_INLINE bool is_call_id(Text value) {
  const char *at = value.data, *const end = value.data + value.size;
  for (; end - at >= 8; at += 8) {
    const uint64_t word = word_at(at), from_delete_on = ((word + each_byte(1)) | word) & each_byte(0x80);
    if (bytes_below(word, 0x21) | from_delete_on) return false;
  }
  for (; at < end; at++)
    if (*at <= ' ' || *at >= '\x7f') return false;
  return !value.empty();
}

KEEPALIVE_INLINE bool is_keep_alive_event(Text value) {
  Cursor cursor(value);
  return is_word(cursor.token(), "keep-alive") && skip_parameters(cursor);
}

bool in_list(Text list, Text item, bool (*equal)(Text, Text)) {
  Cursor cursor(list);
  while (!cursor.at_end()) {
    if (equal(trim(cursor.take_while([](char c) { return c != ','; })), item)) return true;
    cursor.take(',');
  }
  return false;
}

bool equal_exactly(Text a, Text b) { return a == b; }

bool is_target_host(Text host, const Target& target) {
  netserv_address address;
  bool bracketed = host.size > 2 && host[0] == '[';
  Text literal = bracketed ? host.sub(1, host.size - 2) : host;
  if (netserv_parse_address(literal.data, literal.size, &address)) {
    if (address.family != target.family || bracketed != (address.family == 6)) return false;
    return __builtin_memcmp(address.bytes, target.address, target.family == 4 ? 4 : 16) == 0;
  }
  // toplabel = ALPHA ...: what ends in a digit label is a broken address, no name.
  uint32_t last = host.size;
  while (last > 0 && host[last - 1] != '.') last--;
  if (bracketed || last == host.size || is_digit(host[last])) return false;
  return target.domains.empty() || in_list(target.domains, host, equal_ignoring_case);
}

// The Request-URI half of the rule for OPTIONS.
bool is_server_uri(Text uri, const Target& target) {
  if (!equal_ignoring_case(uri.sub(0, 4), "sip:") || !is_uri(uri)) return false;
  Text rest = uri.sub(4);
  for (uint32_t i = 0; i < rest.size; i++) {
    if (rest[i] != '@') continue;
    if (!in_list(target.users, rest.sub(0, i), equal_exactly)) return false;
    rest = rest.sub(i + 1);
    break;
  }
  Cursor cursor(rest);
  uint32_t start = cursor.position();
  if (cursor.take('[')) {
    cursor.take_while([](char c) { return netserv_hex_digit(c) >= 0 || c == ':'; });
    if (!cursor.take(']')) return false;
  } else {
    cursor.take_all(kHost);
  }
  const Text host = cursor.since(start);
  if (host.empty() || !is_target_host(host, target)) return false;
  uint32_t port;
  if (cursor.take(':') && (!parse_number(cursor.take_all(kDigit), 65535, port) || port != target.port))
    return false;
  // uri-parameters are fine (transport=udp, lr), headers ("?") and a second '@' are not.
  if (cursor.peek() == ';') cursor.take_while([](char c) { return c != '?' && c != '@'; });
  return cursor.at_end();
}

Kind classify_request(Text datagram, Text method, Kind kind, const Target& target, Request& out) {
  LineReader lines(datagram, method.size + 1);
  Text line;
  if (lines.line(line) != LineReader::Next::kLine) return Kind::kOther;
  Cursor request_line(line);
  Text uri = request_line.take_all(kUri);
  if (!is_uri(uri) || !request_line.take(' ')) return Kind::kOther;
  if (!is_word(line.sub(request_line.position()), "sip/2.0")) return Kind::kOther;
  if (kind == Kind::kOptions && !is_server_uri(uri, target)) return Kind::kOther;

  out.via_lines = 0;
  uint32_t seen = 0;
  auto bit = [](Header h) { return 1u << static_cast<uint32_t>(h); };
  uint32_t number = 0;
  for (;;) {
    Text name, value;
    LineReader::Next next = lines.header(name, value);
    if (next == LineReader::Next::kMalformed) return Kind::kOther;
    if (next == LineReader::Next::kEndOfHeaders) break;
    Header header = header_of(name);
    if (header == Header::kOther) {
      if (!take_name(name)) return Kind::kOther;
      header = header_of(name);
      if (header == Header::kOther) continue;
    }
    if (header != Header::kVia && header != Header::kRoute && (seen & bit(header))) return Kind::kOther;
    seen |= bit(header);
    bool sound = true, unused;
    switch (header) {
      case Header::kVia: sound = read_via_line(value, out); break;
      case Header::kFrom: out.from = value, sound = parse_party(value, unused); break;
      case Header::kTo: out.to = value, sound = parse_party(value, out.to_has_tag); break;
      case Header::kCallId: out.call_id = value, sound = is_call_id(value); break;
      case Header::kCSeq: out.cseq = value, sound = parse_cseq(value, method); break;
      case Header::kEvent: sound = kind != Kind::kNotify || is_keep_alive_event(value); break;
      case Header::kContentLength: sound = parse_number(value, 0, number); break;
      case Header::kMaxForwards:
        sound = parse_number(value, 255, number) && (kind != Kind::kOptions || number > 0);
        break;
      case Header::kRoute: sound = kind != Kind::kOptions; break;
      case Header::kRequire: sound = false; break;
      case Header::kOther: break;
    }
    if (!sound) return Kind::kOther;
  }
  static_assert(kHeaders <= 32);
  uint32_t needed = bit(Header::kVia) | bit(Header::kFrom) | bit(Header::kTo) | bit(Header::kCallId) |
                    bit(Header::kCSeq) | (kind == Kind::kNotify ? bit(Header::kEvent) : 0);
  if ((seen & needed) != needed) return Kind::kOther;
  if (kind == Kind::kOptions && out.to_has_tag) return Kind::kOther;
  return trim(lines.rest()).empty() ? kind : Kind::kOther;
}

}  // namespace

Kind classify(Text datagram, const Target& target, Request& out) {
  if (datagram.size == 4) {
    if (datagram == Text("\r\n\r\n")) return Kind::kCrlf;
    return datagram == Text("\0\0\0\0") ? Kind::kSilent : Kind::kOther;
  }
  constexpr Text kNotify = "NOTIFY", kOptions = "OPTIONS";
  if (begins_with(datagram, "NOTIFY ")) return classify_request(datagram, kNotify, Kind::kNotify, target, out);
  if (begins_with(datagram, "OPTIONS "))
    return classify_request(datagram, kOptions, Kind::kOptions, target, out);
  return Kind::kOther;
}

}  // namespace keepalive
