/* The native builds of kernel.c. */
#ifndef NETSERV_BENCH_RUNTIME_KERNEL_H
#define NETSERV_BENCH_RUNTIME_KERNEL_H

#include "netserv/abi.h"

#ifdef __cplusplus
extern "C" {
#endif
void native_monitor(struct netserv_packet* batch, const uint8_t* window, uint32_t count);
void native_keepalive(struct netserv_packet* batch, const uint8_t* window, uint32_t count);
#ifdef __cplusplus
}
#endif
#endif
