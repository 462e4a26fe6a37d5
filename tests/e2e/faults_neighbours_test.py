#!/usr/bin/python3
"""What happens to one publisher, one module, or netservd is nothing to the others: not one of their packets is lost.

Three streams go through the router: alice's and bob's, each through a NetMonitor of its publisher's, and one that no
filter matches. The rates are moderate, so that nothing but the node could lose a packet.
"""

import subprocess
import unittest

import support
from netserv_lab import cgroups
from netserv_lab.load import Sink, Source
from netserv_lab.process import Process
from netserv_lab.waiting import until
from netserv_lab.wasm import add_manifest
from support import NETMONITOR, PLANE_LOSSES, counted_losses, in_lab

ALICE, BOB, NOBODY = 9000, 9001, 9002
PUBLISHERS = {"alice": "publisher", "bob": "visualizer"}
RATE = 3000
TRAPPER = "Tests.Trapper_1.0.0"
TRAPS_ALWAYS = """(module (memory (export "memory") 17) (global (export "netserv_window") i32 (i32.const 65536))
  (global (export "netserv_batch") i32 (i32.const 4096)) (func (export "netserv_process") (param i32) unreachable))"""

BURNER = "Tests.Burner_1.0.0"
# Some milliseconds of work for each batch.
BURNS_CPU = """(module (memory (export "memory") 17) (global (export "netserv_window") i32 (i32.const 65536))
  (global (export "netserv_batch") i32 (i32.const 4096)) (func (export "netserv_process") (param i32)
    (local $left i32) (local $x i32) (local.set $left (i32.const 2000000)) (local.set $x (i32.load (i32.const 0)))
    (loop $on (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (br_if $on (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.store (i32.const 0) (local.get $x))))"""


def deploy(lab, name, port, **more):
    answer = lab.publishers[name].setup(lab.node, NETMONITOR, "netmonitor.wasm", filter_port=port, filter_proto="udp",
                                        filter_dst=lab["server"].address(), properties=["netserv.mode=path"], **more)
    assert answer["state"] == "ACTIVE", answer


def packets_of(node, publisher, module_id=NETMONITOR):
    found = [m for m in node.modules() if m["publisher"] == publisher and m["id"] == module_id]
    return found[0].get("packets", 0) if found else 0


class Streams:
    def __init__(self, lab):
        self.lab = lab
        self.sinks = {port: Sink(lab["server"], lab.build, port=port) for port in (ALICE, BOB, NOBODY)}
        self.sources = {port: Source(lab["client"], lab.build, sink, rate=RATE) for port, sink in self.sinks.items()}

    def wait_for_more(self, packets):
        for sink in self.sinks.values():
            sink.wait_for_more(packets)

    def all_arrive(self, test):
        """But for what the links lost, and counted. The node has lost none."""
        sent = sum(source.stop() for source in self.sources.values())
        sinks = self.sinks.values()

        def lost():
            return counted_losses(self.lab, self.lab.node.counters_now())

        until(lambda: sum(sink.distinct for sink in sinks) >= sent - sum(lost().values()),
              lambda: f"sent {sent}, arrived {[sink.counts() for sink in sinks]}, lost {lost()}")
        test.assertEqual([where for where in lost() if where in PLANE_LOSSES], [])
        test.assertEqual([sink.counts()["duplicates"] for sink in sinks], [0] * len(sinks))


class Neighbours(unittest.TestCase):
    def start(self, lab):
        for name, port in (("alice", ALICE), ("bob", BOB)):
            lab.publishers[name].serve("netmonitor")
            deploy(lab, name, port)
        streams = Streams(lab)
        for name in ("alice", "bob"):
            until(lambda: packets_of(lab.node, name) > 1000, f"{name}'s module sees packets")
        return streams

    def nothing_is_lost_while_netservd_restarts(self, lab):
        node, streams = lab.node, self.start(lab)
        containers = node.container_processes()
        for end in (Process.stop, Process.kill):
            end(node.netservd)
            streams.wait_for_more(1000)
            node.start_netservd()
            node.wait_for_state(NETMONITOR, "ACTIVE")
            for name in ("alice", "bob"):
                before = packets_of(node, name)
                until(lambda: packets_of(node, name) > before + 1000, f"{name}'s module works on")
        self.assertEqual(node.container_processes(), containers, "no container was restarted")
        streams.all_arrive(self)

    @in_lab(publishers=PUBLISHERS)
    def test_nothing_is_lost_while_netservd_restarts(self, lab):
        self.nothing_is_lost_while_netservd_restarts(lab)

    @in_lab(publishers=PUBLISHERS, plane="netfilter")
    def test_nothing_is_lost_while_netservd_restarts_on_netfilter(self, lab):
        self.nothing_is_lost_while_netservd_restarts(lab)

    def nothing_is_lost_when_filters_come_and_go(self, lab):
        node, streams = lab.node, self.start(lab)
        alice = lab.publishers["alice"]
        for _ in range(4):
            deploy(lab, "alice", f"{ALICE},7001,7002")  # other filters, atomically
            deploy(lab, "alice", ALICE)
            alice.remove(node, NETMONITOR)
            deploy(lab, "alice", ALICE)
            streams.wait_for_more(200)
        bobs = [m for m in node.modules() if m["publisher"] == "bob"]
        self.assertEqual([(m["restarts"], m["traps"]) for m in bobs], [(0, 0)], "bob's module did not notice")
        streams.all_arrive(self)

    @in_lab(publishers=PUBLISHERS)
    def test_nothing_is_lost_when_filters_come_and_go(self, lab):
        self.nothing_is_lost_when_filters_come_and_go(lab)

    @in_lab(publishers=PUBLISHERS, plane="netfilter")
    def test_nothing_is_lost_when_filters_come_and_go_on_netfilter(self, lab):
        self.nothing_is_lost_when_filters_come_and_go(lab)

    @in_lab(publishers=PUBLISHERS, start=False)
    def test_a_module_that_burns_cpu_gets_its_share(self, lab):
        node, alice = lab.node, lab.publishers["alice"]
        alice.policy["cpu_percent"] = 20
        lab.start()
        streams = self.start(lab)
        wat, wasm = lab.folder / "burner.wat", lab.folder / "burner.wasm"
        wat.write_text(BURNS_CPU)
        subprocess.run(["wat2wasm", wat, "-o", wasm], check=True)
        alice.put("burner.wasm", add_manifest(wasm.read_bytes(), name="Tests.Burner", version="1.0.0", abi=1, kind=["packet"],
                                              blocks=["packet/1"], memory_pages=17))
        alice.setup(node, BURNER, "burner.wasm", filter_port=ALICE, filter_proto="udp", filter_dst=lab["server"].address())
        (pid,) = [c["pid"] for c in node.containers() if c["publisher"] == "alice"]
        before, bobs = cgroups.cpu_of(pid), packets_of(node, "bob")
        self.assertEqual(before["quota"] * 100, before["period"] * 20)
        until(lambda: cgroups.cpu_of(pid)["throttled"] >= before["throttled"] + 20, lambda: f"it is throttled: {cgroups.cpu_of(pid)}")
        after = cgroups.cpu_of(pid)
        # A period that has begun counts as none yet.
        self.assertLessEqual(after["used"] - before["used"], (after["periods"] - before["periods"] + 2) * after["quota"])
        until(lambda: packets_of(node, "bob") > bobs + 1000, "bob's module works on")
        bobs = [m for m in node.modules() if m["publisher"] == "bob"]
        self.assertEqual([(m["restarts"], m["traps"]) for m in bobs], [(0, 0)], "and did not notice")
        alice.remove(node, BURNER)
        streams.all_arrive(self)

    @in_lab(publishers=PUBLISHERS)
    def test_a_module_that_traps_in_the_chain(self, lab):
        node, streams = lab.node, self.start(lab)
        alice = lab.publishers["alice"]
        wat, wasm = lab.folder / "trapper.wat", lab.folder / "trapper.wasm"
        wat.write_text(TRAPS_ALWAYS)
        subprocess.run(["wat2wasm", wat, "-o", wasm], check=True)
        alice.put("trapper.wasm", add_manifest(wasm.read_bytes(), name="Tests.Trapper", version="1.0.0", abi=1, kind=["packet"],
                                               blocks=["packet/1"], memory_pages=17))
        containers = node.container_processes()
        # Before NetMonitor in the chain of alice's container, on her packets.
        alice.setup(node, TRAPPER, "trapper.wasm", wait=False, filter_port=ALICE, filter_proto="udp",
                    filter_dst=lab["server"].address(), properties=["netserv.order=-10"], notification=alice.url("events"))
        until(lambda: (node.module(TRAPPER) or {}).get("traps", 0) >= 2, lambda: f"it traps, again too: {node.module(TRAPPER)}")
        for kind in ("trapped", "restarted"):
            alice.wait_for_notification(kind=kind, module=TRAPPER)
        for name in ("alice", "bob"):
            before = packets_of(node, name)
            until(lambda: packets_of(node, name) > before + 1000, f"{name}'s NetMonitor works on")
        monitors = [m for m in node.modules() if m["id"] == NETMONITOR]
        self.assertEqual([(m["state"], m["restarts"], m["traps"]) for m in monitors], [("ACTIVE", 0, 0)] * 2)
        self.assertEqual(node.container_processes(), containers, "no container was restarted")
        streams.all_arrive(self)


if __name__ == "__main__":
    support.main()
