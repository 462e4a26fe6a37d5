/* Addresses as text: "192.0.2.1", "2001:db8::1" (written as RFC 5952 says). Without a C library. */
#ifndef NETSERV_ADDRESS_H
#define NETSERV_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "netserv/abi.h"

#define NETSERV_ADDRESS_TEXT_MAX 39u

/* Decimal without leading zeros needed; writes at most 10 digits and returns how many. */
static inline uint32_t netserv_format_u32(uint32_t value, char* out) {
  char digits[10];
  uint32_t n = 0;
  do {
    digits[n++] = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  for (uint32_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
  return n;
}

/* Reads all of text[0..length) as decimal, at most `max`. */
static inline bool netserv_parse_u32(const char* text, uint32_t length, uint32_t max, uint32_t* out) {
  uint64_t value = 0;
  if (length == 0 || length > 10) return false;
  for (uint32_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (uint32_t)(text[i] - '0');
  }
  if (value > max) return false;
  *out = (uint32_t)value;
  return true;
}

static inline bool netserv_parse_ipv4_text(const char* text, uint32_t length, uint8_t out[4]) {
  uint32_t at = 0;
  for (uint32_t part = 0; part < 4; part++) {
    if (part > 0 && (at >= length || text[at++] != '.')) return false;
    uint32_t start = at, value = 0;
    while (at < length && text[at] != '.') at++;
    if (at - start > 3 || (at - start > 1 && text[start] == '0')) return false;
    if (!netserv_parse_u32(text + start, at - start, 255, &value)) return false;
    out[part] = (uint8_t)value;
  }
  return at == length;
}

static inline int netserv_hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Eight groups, or fewer around one "::"; no zone, no embedded IPv4. */
static inline bool netserv_parse_ipv6_text(const char* text, uint32_t length, uint8_t out[16]) {
  uint16_t groups[8];
  uint32_t count = 0, gap = 8, at = 0;
  if (length >= 2 && text[0] == ':' && text[1] == ':') {
    gap = 0;
    at = 2;
  }
  while (at < length) {
    uint32_t value = 0, digits = 0;
    if (count == 8) return false;
    for (; at < length && netserv_hex_digit(text[at]) >= 0; at++, digits++)
      value = value << 4 | (uint32_t)netserv_hex_digit(text[at]);
    if (digits == 0 || digits > 4) return false;
    groups[count++] = (uint16_t)value;
    if (at == length) break;
    if (text[at++] != ':' || at == length) return false;
    if (text[at] == ':') {
      if (gap != 8) return false;
      gap = count;
      at++;
    }
  }
  if (gap == 8 ? count != 8 : count > 7) return false;
  for (uint32_t i = 0; i < 16; i++) out[i] = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t to = i < gap ? i : 8 - count + i;
    out[to * 2] = (uint8_t)(groups[i] >> 8);
    out[to * 2 + 1] = (uint8_t)groups[i];
  }
  return true;
}

/* Either family; port becomes 0. */
static inline bool netserv_parse_address(const char* text, uint32_t length, struct netserv_address* out) {
  struct netserv_address address = {0, 0, 0, {0}};
  if (netserv_parse_ipv4_text(text, length, address.bytes)) {
    address.family = 4;
  } else if (netserv_parse_ipv6_text(text, length, address.bytes)) {
    address.family = 6;
  } else {
    return false;
  }
  *out = address;
  return true;
}

static inline uint32_t netserv_format_ipv4(const uint8_t bytes[4], char* out) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < 4; i++) {
    if (i > 0) out[n++] = '.';
    n += netserv_format_u32(bytes[i], out + n);
  }
  return n;
}

static inline uint32_t netserv_format_ipv6(const uint8_t bytes[16], char* out) {
  uint32_t best = 8, best_length = 1; /* the longest run of two or more zero groups, the first of equals */
  for (uint32_t i = 0; i < 8; i++) {
    uint32_t run = 0;
    while (i + run < 8 && bytes[(i + run) * 2] == 0 && bytes[(i + run) * 2 + 1] == 0) run++;
    if (run > best_length) {
      best = i;
      best_length = run;
    }
  }
  uint32_t n = 0;
  for (uint32_t i = 0; i < 8; i++) {
    if (i == best) {
      out[n++] = ':';
      out[n++] = ':';
      i += best_length - 1;
      continue;
    }
    if (n > 0 && out[n - 1] != ':') out[n++] = ':';
    uint32_t value = (uint32_t)bytes[i * 2] << 8 | bytes[i * 2 + 1];
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
      uint32_t digit = value >> shift & 15u;
      if (digit == 0 && !started && shift > 0) continue;
      started = true;
      out[n++] = "0123456789abcdef"[digit];
    }
  }
  return n;
}

/* Writes at most NETSERV_ADDRESS_TEXT_MAX characters, no NUL; returns how many. `family` is 4 or 6. */
static inline uint32_t netserv_format_address(uint8_t family, const uint8_t* bytes, char* out) {
  return family == 4 ? netserv_format_ipv4(bytes, out) : netserv_format_ipv6(bytes, out);
}

#endif /* NETSERV_ADDRESS_H */
