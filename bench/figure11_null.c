/* Configuration 4's module: the runtime is entered for every batch, and every packet passes. */
#include <netserv/module.h>

NETSERV_MANIFEST({"name": "NetServ.bench.Null", "version": "1.0.0", "abi": 1, "kind": ["packet"],
                  "blocks": ["packet/1"]})

static void pass(struct netserv_packet* p) { p->verdict = NETSERV_PASS; }

NETSERV_PACKET_MODULE(pass)
