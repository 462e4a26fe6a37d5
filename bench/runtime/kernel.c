/* Two packet modules of one source: compiled to WebAssembly for the runtime, and natively as what they are measured
 * against. KERNEL_MONITOR counts packets by source, destination and TTL in a hash table; KERNEL_KEEPALIVE reads a SIP
 * request's header lines and builds the 200 response in its own memory. Neither changes the packet. */
#include "kernel.h"

#if defined(__wasm__)
#define EXPORT __attribute__((visibility("default"), used))
EXPORT _Alignas(65536) uint8_t netserv_window[NETSERV_WINDOW_BYTES];
EXPORT struct netserv_packet netserv_batch[NETSERV_BATCH_MAX];
#define BYTES(p) ((const uint8_t*)(p)->data)
#define PROCESS EXPORT void netserv_process(uint32_t count)
#define BATCH netserv_batch
__asm__(".section .custom_section.netserv.manifest,\"\",@\n"
        "\t.ascii \"{\\\"name\\\":\\\"kernel\\\",\\\"version\\\":\\\"1\\\",\\\"abi\\\":1,\\\"kind\\\":[\\\"packet\\\"]}\"\n");
EXPORT void netserv_timer(uint32_t id) { (void)id; }
#else
#define BYTES(p) (window + (p)->data)
#define PROCESS void KERNEL_NAME(struct netserv_packet* batch, const uint8_t* window, uint32_t count)
#define BATCH batch
#endif

#if defined(KERNEL_MONITOR)

struct row {
  uint32_t source, destination, ttl, count;
};
static struct row table[4096];

static uint32_t load32(const uint8_t* p) {
  uint32_t v;
  __builtin_memcpy(&v, p, 4);
  return v;
}

PROCESS {
  for (uint32_t i = 0; i < count; ++i) {
    struct netserv_packet* p = &BATCH[i];
    const uint8_t* bytes = BYTES(p);
    if (p->length < 20 || bytes[0] >> 4 != 4) continue;
    const uint32_t source = load32(bytes + 12), destination = load32(bytes + 16), ttl = bytes[8];
    uint32_t at = (source * 0x9e3779b1u ^ destination * 0x85ebca6bu ^ ttl) >> 20;
    while (table[at].count != 0 &&
           (table[at].source != source || table[at].destination != destination || table[at].ttl != ttl))
      at = (at + 1) & 4095;
    table[at].source = source;
    table[at].destination = destination;
    table[at].ttl = ttl;
    ++table[at].count;
  }
}

#else

static uint8_t reply[2048];

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

static int header_is(const uint8_t* name, uint32_t length, const char* wanted) {
  uint32_t i = 0;
  for (; i < length && wanted[i] != 0; ++i)
    if (lower(name[i]) != (uint8_t)wanted[i]) return 0;
  return i == length && wanted[i] == 0;
}

static uint32_t append(uint32_t at, const uint8_t* bytes, uint32_t length) {
  for (uint32_t i = 0; i < length && at < sizeof reply; ++i) reply[at++] = bytes[i];
  return at;
}

static uint32_t answer(const uint8_t* bytes, uint32_t length) {
  if (length < 28 + 8) return 0;
  uint32_t at = 28, out = append(28, (const uint8_t*)"SIP/2.0 200 OK\r\n", 16), found = 0, first = 1;
  for (int i = 0; i < 4; ++i) {
    reply[12 + i] = bytes[16 + i];
    reply[16 + i] = bytes[12 + i];
  }
  while (at < length) {
    uint32_t end = at, colon = 0;
    while (end < length && bytes[end] != '\r') {
      if (bytes[end] == ':' && colon == 0) colon = end;
      ++end;
    }
    if (end == at) break;
    if (!first && colon != 0) {
      const uint8_t* name = bytes + at;
      const uint32_t n = colon - at;
      const int copied = header_is(name, n, "via") || header_is(name, n, "from") || header_is(name, n, "to") ||
                         header_is(name, n, "call-id") || header_is(name, n, "cseq");
      if (copied) {
        out = append(out, name, end - at);
        out = append(out, (const uint8_t*)"\r\n", 2);
        ++found;
      }
    }
    first = 0;
    at = end + 2;
  }
  if (found < 5) return 0;
  return append(out, (const uint8_t*)"Content-Length: 0\r\n\r\n", 21);
}

PROCESS {
  for (uint32_t i = 0; i < count; ++i) {
    struct netserv_packet* p = &BATCH[i];
    const uint32_t length = answer(BYTES(p), p->length);
    p->verdict = length != 0 ? NETSERV_DROP : NETSERV_PASS;
  }
}

#endif
