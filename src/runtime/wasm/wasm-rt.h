/* The wasm-rt.h that the generated C includes: the names that wabt 1.0.32's C writer expects, over struct
 * netserv_host. Memory is checked by guard pages, calls by the stack's; there are no exceptions. */
#ifndef WASM_RT_H_
#define WASM_RT_H_

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "object.h"

#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define wasm_rt_memcpy __builtin_memcpy
#define wasm_rt_unreachable __builtin_unreachable
#define WASM_RT_MEMCHECK_SIGNAL_HANDLER 1
#define WASM_RT_USE_STACK_DEPTH_COUNT 0
#define wasm_rt_is_initialized() 1

static const wasm_rt_funcref_t wasm_rt_funcref_null_value = {0, NULL, NULL};
static const wasm_rt_externref_t wasm_rt_externref_null_value = NULL;
static const struct netserv_host* netserv_host_;

#define NETSERV_UNUSED __attribute__((unused))

NETSERV_UNUSED __attribute__((noreturn, cold)) static void wasm_rt_trap(wasm_rt_trap_t trap) {
  netserv_host_->trap((uint32_t)trap);
}
NETSERV_UNUSED static uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...) {
  uint32_t types[128];
  va_list list;
  if (params + results > 128) wasm_rt_trap(WASM_RT_TRAP_NONE);
  va_start(list, results);
  for (uint32_t i = 0; i < params + results; ++i) types[i] = (uint32_t)va_arg(list, wasm_rt_type_t);
  va_end(list);
  return netserv_host_->register_type(params, results, types);
}
NETSERV_UNUSED static void wasm_rt_allocate_memory(wasm_rt_memory_t* m, uint32_t initial, uint32_t max) {
  netserv_host_->allocate_memory(m, initial, max);
}
NETSERV_UNUSED static uint32_t wasm_rt_grow_memory(wasm_rt_memory_t* m, uint32_t pages) {
  return netserv_host_->grow_memory(m, pages);
}
NETSERV_UNUSED static void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t* t, uint32_t n, uint32_t max) {
  netserv_host_->allocate_funcref_table(t, n, max);
}
NETSERV_UNUSED static void wasm_rt_allocate_externref_table(wasm_rt_externref_table_t* t, uint32_t n, uint32_t max) {
  netserv_host_->allocate_externref_table(t, n, max);
}
NETSERV_UNUSED static uint32_t wasm_rt_grow_funcref_table(wasm_rt_funcref_table_t* t, uint32_t delta,
                                                          wasm_rt_funcref_t init) {
  return netserv_host_->grow_funcref_table(t, delta, &init);
}
NETSERV_UNUSED static uint32_t wasm_rt_grow_externref_table(wasm_rt_externref_table_t* t, uint32_t delta,
                                                            wasm_rt_externref_t init) {
  return netserv_host_->grow_externref_table(t, delta, init);
}
/* Loads and stores, of the one memory that a module has. Its address never changes while an instance lives, so each
 * function reads it once: through the instance it would be read again after every store, as any store might have
 * changed it. The compiler is told by its flags (compile/compiler.cc) that a load may trap. t1: in memory, t2: its
 * extension, t3: the value's type. */
#define NETSERV_PROLOGUE u8* const netserv_base_ = instance->w2c_memory.data
#define NETSERV_LOAD(name, t1, t2, t3)                               \
  static inline t3 name##_at(const u8* base, u64 addr) {             \
    typedef t1 unaligned __attribute__((aligned(1)));                \
    return (t3)(t2)*(const unaligned*)(base + addr);                 \
  }
#define NETSERV_STORE(name, t1, t2)                                  \
  static inline void name##_at(u8* base, u64 addr, t2 value) {       \
    typedef t1 unaligned __attribute__((aligned(1)));                \
    *(unaligned*)(base + addr) = (t1)value;                          \
  }
#define i32_load(mem, addr) i32_load_at(netserv_base_, addr)
#define i64_load(mem, addr) i64_load_at(netserv_base_, addr)
#define f32_load(mem, addr) f32_load_at(netserv_base_, addr)
#define f64_load(mem, addr) f64_load_at(netserv_base_, addr)
#define i32_load8_s(mem, addr) i32_load8_s_at(netserv_base_, addr)
#define i64_load8_s(mem, addr) i64_load8_s_at(netserv_base_, addr)
#define i32_load8_u(mem, addr) i32_load8_u_at(netserv_base_, addr)
#define i64_load8_u(mem, addr) i64_load8_u_at(netserv_base_, addr)
#define i32_load16_s(mem, addr) i32_load16_s_at(netserv_base_, addr)
#define i64_load16_s(mem, addr) i64_load16_s_at(netserv_base_, addr)
#define i32_load16_u(mem, addr) i32_load16_u_at(netserv_base_, addr)
#define i64_load16_u(mem, addr) i64_load16_u_at(netserv_base_, addr)
#define i64_load32_s(mem, addr) i64_load32_s_at(netserv_base_, addr)
#define i64_load32_u(mem, addr) i64_load32_u_at(netserv_base_, addr)
#define i32_store(mem, addr, value) i32_store_at(netserv_base_, addr, value)
#define i64_store(mem, addr, value) i64_store_at(netserv_base_, addr, value)
#define f32_store(mem, addr, value) f32_store_at(netserv_base_, addr, value)
#define f64_store(mem, addr, value) f64_store_at(netserv_base_, addr, value)
#define i32_store8(mem, addr, value) i32_store8_at(netserv_base_, addr, value)
#define i32_store16(mem, addr, value) i32_store16_at(netserv_base_, addr, value)
#define i64_store8(mem, addr, value) i64_store8_at(netserv_base_, addr, value)
#define i64_store16(mem, addr, value) i64_store16_at(netserv_base_, addr, value)
#define i64_store32(mem, addr, value) i64_store32_at(netserv_base_, addr, value)

/* The runtime owns what an instance has and frees all of it at once. */
#define wasm_rt_free_memory(m) ((void)(m))
#define wasm_rt_free_funcref_table(t) ((void)(t))
#define wasm_rt_free_externref_table(t) ((void)(t))

#endif
