/* What a module written in C includes. In one source file of the module:
 *
 *   #include <netserv/module.h>
 *   NETSERV_MANIFEST({"name": "hello", "version": "1.0.0", "abi": 1, "kind": ["packet"], "blocks": ["log/1"]})
 *   static void on_packet(struct netserv_packet* p) { if (netserv_data(p)[8] == 1) p->verdict = NETSERV_DROP; }
 *   NETSERV_PACKET_MODULE(on_packet)
 *
 * Compiled for wasm32 this makes a module; compiled natively it makes an object with the same symbols for unit
 * tests and benchmarks, where struct netserv_packet.data is an offset into netserv_window, and the building
 * blocks are functions that the test supplies (sdk/testing/fake_blocks.h has a set).
 */
#ifndef NETSERV_MODULE_H
#define NETSERV_MODULE_H

#include <stdbool.h>
#include <stddef.h>

#include "netserv/abi.h"

#if defined(__cplusplus)
#define NETSERV_C extern "C"
#define NETSERV_C_BEGIN extern "C" {
#define NETSERV_C_END }
#else
#define NETSERV_C
#define NETSERV_C_BEGIN
#define NETSERV_C_END
#endif

/* A function that the node calls. The C prototypes of all of them are in abi.h's first comment. */
#if defined(__wasm__)
#define NETSERV_EXPORT(name) NETSERV_C __attribute__((export_name(#name), visibility("default")))
#else
#define NETSERV_EXPORT(name) NETSERV_C __attribute__((visibility("default")))
#endif

NETSERV_C_BEGIN
#if defined(__wasm__)
int memcmp(const void* a, const void* b, size_t n);
int bcmp(const void* a, const void* b, size_t n);
#endif
extern uint8_t netserv_window[NETSERV_WINDOW_BYTES];
extern struct netserv_packet netserv_batch[NETSERV_BATCH_MAX];

#if !defined(__wasm__)
int32_t netserv_packet_emit(const void* data, uint32_t length);
int32_t netserv_timer_set(uint32_t id, uint64_t after_ns, uint64_t repeat_ns);
int32_t netserv_timer_cancel(uint32_t id);
uint64_t netserv_timer_now(void);
void netserv_log_write(uint32_t level, const char* text, uint32_t length);
int32_t netserv_properties_get(const char* key, uint32_t key_length, char* out, uint32_t capacity);
int32_t netserv_counters_add(const char* name, uint32_t length, uint64_t n);
int32_t netserv_udp_open(uint32_t family, uint32_t local_port);
int32_t netserv_udp_send(int32_t handle, const struct netserv_address* to, const void* data, uint32_t length);
int32_t netserv_udp_receive(int32_t handle, struct netserv_address* from, void* out, uint32_t capacity);
int32_t netserv_udp_close(int32_t handle);
#endif
NETSERV_C_END

/* The packet's first byte: `length` bytes to read and `capacity` bytes to write. */
static inline uint8_t* netserv_data(const struct netserv_packet* p) {
#if defined(__wasm__)
  return (uint8_t*)(uintptr_t)p->data;
#else
  return netserv_window + p->data;
#endif
}

/* NETSERV_MANIFEST({...}): the JSON object, written as such, becomes the custom section netserv.manifest. */
#if defined(__wasm__)
/* Made a string twice: once for the assembler's .ascii, once for C's __asm__. */
#define NETSERV_STRING_(x) #x
#define NETSERV_MANIFEST(...)                                  \
  __asm__(".section .custom_section.netserv.manifest,\"\",@\n" \
          "\t.ascii " NETSERV_STRING_(#__VA_ARGS__) "\n");
#else
#define NETSERV_MANIFEST(...)                             \
  NETSERV_C_BEGIN                                         \
  extern const char netserv_manifest[];                   \
  const char netserv_manifest[] = #__VA_ARGS__;           \
  NETSERV_C_END
#endif

/* What clang calls where there is no C library to link; weak, so a module may have its own. (memcpy, memmove and
 * memset become instructions with -mbulk-memory.) */
#if defined(__wasm__)
#define NETSERV_DEFINE_LIBC_                                                                           \
  __attribute__((weak)) int memcmp(const void* a, const void* b, size_t n) {                           \
    const uint8_t *x = (const uint8_t*)a, *y = (const uint8_t*)b;                                      \
    for (size_t i = 0; i < n; i++)                                                                     \
      if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;                                                   \
    return 0;                                                                                          \
  }                                                                                                    \
  __attribute__((weak)) int bcmp(const void* a, const void* b, size_t n) { return memcmp(a, b, n); }
#else
#define NETSERV_DEFINE_LIBC_
#endif

/* The window and the batch, defined once in a module. */
#define NETSERV_DEFINE_BUFFERS                                                                         \
  NETSERV_C_BEGIN                                                                                      \
  NETSERV_DEFINE_LIBC_                                                                                 \
  __attribute__((aligned(NETSERV_WINDOW_ALIGNMENT))) uint8_t netserv_window[NETSERV_WINDOW_BYTES];     \
  struct netserv_packet netserv_batch[NETSERV_BATCH_MAX];                                              \
  NETSERV_C_END

/* NETSERV_PACKET_MODULE(fn): calls fn(struct netserv_packet*) for each packet of a batch. */
#define NETSERV_PACKET_MODULE(fn)                                              \
  NETSERV_DEFINE_BUFFERS                                                       \
  NETSERV_EXPORT(netserv_process) void netserv_process(int32_t count) {        \
    if (count < 0) return;                                                     \
    uint32_t n = (uint32_t)count;                                              \
    if (n > NETSERV_BATCH_MAX) n = NETSERV_BATCH_MAX;                          \
    for (uint32_t i = 0; i < n; i++) fn(&netserv_batch[i]);                    \
  }

#define NETSERV_DEBUG 0u
#define NETSERV_INFO 1u
#define NETSERV_WARNING 2u
#define NETSERV_ERROR 3u
/* NETSERV_LOG(NETSERV_INFO, "literal") */
#define NETSERV_LOG(level, literal) netserv_log_write(level, literal, sizeof(literal) - 1)
/* NETSERV_COUNT("name", n) */
#define NETSERV_COUNT(literal, n) ((void)netserv_counters_add(literal, sizeof(literal) - 1, n))

#endif /* NETSERV_MODULE_H */
