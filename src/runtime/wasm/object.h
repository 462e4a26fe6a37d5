/* What a compiled module and the runtime know of each other. Read by the generated C (as part of the compile
 * helper's scratch folder) and by the runtime; a change of layout raises NETSERV_OBJECT_VERSION and the compile
 * pipeline's version.
 *
 * The object exports one symbol, `netserv_object`, and imports nothing but libc's and libm's memory and float
 * functions: all it may ask of the host comes through struct netserv_host. The first members of the wasm_rt
 * types are those that wabt 1.0.32's C writer uses. */
#ifndef NETSERV_RUNTIME_WASM_OBJECT_H
#define NETSERV_RUNTIME_WASM_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NETSERV_OBJECT_MAGIC 0x4e534f424a454354ull
#define NETSERV_OBJECT_VERSION 2u

typedef enum {
  WASM_RT_TRAP_NONE,
  WASM_RT_TRAP_OOB,
  WASM_RT_TRAP_INT_OVERFLOW,
  WASM_RT_TRAP_DIV_BY_ZERO,
  WASM_RT_TRAP_INVALID_CONVERSION,
  WASM_RT_TRAP_UNREACHABLE,
  WASM_RT_TRAP_CALL_INDIRECT,
  WASM_RT_TRAP_UNCAUGHT_EXCEPTION,
  WASM_RT_TRAP_EXHAUSTION,
} wasm_rt_trap_t;

typedef enum { WASM_RT_I32, WASM_RT_I64, WASM_RT_F32, WASM_RT_F64, WASM_RT_FUNCREF, WASM_RT_EXTERNREF } wasm_rt_type_t;

typedef void (*wasm_rt_function_ptr_t)(void);
typedef struct {
  uint32_t func_type;
  wasm_rt_function_ptr_t func;
  void* module_instance;
} wasm_rt_funcref_t;
typedef void* wasm_rt_externref_t;

typedef struct {
  uint8_t* data;
  uint32_t pages, max_pages;
  uint32_t size; /* bytes; 65535 pages at most, so it can't wrap */
} wasm_rt_memory_t;
typedef struct {
  wasm_rt_funcref_t* data;
  uint32_t max_size, size;
} wasm_rt_funcref_table_t;
typedef struct {
  wasm_rt_externref_t* data;
  uint32_t max_size, size;
} wasm_rt_externref_table_t;

/* What the host does for a module. All of it is called on the module's stack, during a call. */
struct netserv_host {
  void (*trap)(uint32_t trap) __attribute__((noreturn));
  uint32_t (*register_type)(uint32_t params, uint32_t results, const uint32_t* types);
  void (*allocate_memory)(wasm_rt_memory_t*, uint32_t initial_pages, uint32_t max_pages);
  uint32_t (*grow_memory)(wasm_rt_memory_t*, uint32_t pages);
  void (*allocate_funcref_table)(wasm_rt_funcref_table_t*, uint32_t elements, uint32_t max_elements);
  void (*allocate_externref_table)(wasm_rt_externref_table_t*, uint32_t elements, uint32_t max_elements);
  uint32_t (*grow_funcref_table)(wasm_rt_funcref_table_t*, uint32_t delta, const wasm_rt_funcref_t* init);
  uint32_t (*grow_externref_table)(wasm_rt_externref_table_t*, uint32_t delta, wasm_rt_externref_t init);
#define NETSERV_IMPORT(member, module, name, parameters, result, c_result, c_parameters, c_arguments) \
  c_result(*member) c_parameters;
#include "imports.def"
#undef NETSERV_IMPORT
};

/* Entry points take (instance, argument) and give a result, used or not. NULL: the module has none. */
typedef uint32_t (*netserv_entry)(void* instance, uint32_t argument);

struct netserv_object {
  uint64_t magic;
  uint32_t version;
  uint32_t abi;
  const char* manifest; /* one line of JSON */
  const char* name;
  const char* module_version;
  const char* blocks; /* that the manifest names, "packet/1 timer/1" */
  uint32_t wanted_pages; /* the manifest's memory_pages, 0 if it has none */
  uint64_t instance_bytes;
  void (*set_host)(const struct netserv_host*);
  netserv_entry instantiate; /* registers types the first time, then makes an instance in zeroed bytes */
  wasm_rt_memory_t* (*memory)(void* instance);
  uint32_t (*window)(void* instance); /* netserv_window; NULL without one */
  uint32_t (*batch)(void* instance);  /* netserv_batch */
  netserv_entry initialize, start, process, timer, readable, properties, stop;
};

#ifdef __cplusplus
}
#endif
#endif
