"""What the end-to-end tests share: each test method runs in a lab of its own, under the lab's supervisor."""

import functools
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "lab"))

from netserv_lab import probe, supervise, topology  # noqa: E402
from netserv_lab.build import Build  # noqa: E402
from netserv_lab.lab import Lab  # noqa: E402
from netserv_lab.load import Sink, Source  # noqa: E402
from netserv_lab.node import PATIENT  # noqa: E402
from netserv_lab.waiting import until  # noqa: E402

KEEPALIVE, NETMONITOR = "NetServ.apps.KeepAlive_1.0.0", "NetServ.apps.NetMonitor_1.0.0"


def in_lab(topology_name="edge", start=True, plane="xdp", patient=False, build_in=lambda folder: Build.find(), **lab_options):
    """Decorator: test(self, lab) is called with a lab that is up, its nodes started on that plane, in processes of its
    own. `patient`: where every packet is to be seen by the module, and neither a stall nor a crash is the subject.
    `build_in` is given the lab's folder and finds the build."""

    def decorate(test):
        @functools.wraps(test)
        def wrapper(self):
            def play(folder):
                with Lab(topology.find(topology_name), folder, build_in(folder), plane=plane, **lab_options) as lab:
                    try:
                        for node in lab.nodes.values():
                            node.forwarder_options = PATIENT if patient else ()
                        if start:
                            lab.start()
                        test(self, lab)
                    except BaseException:
                        lab.print_logs()
                        raise
                return 0

            self.assertEqual(supervise.supervised_in_child(play), 0, "see the trace above")

        return wrapper

    return decorate


def load_through_netmonitor(lab, rate=20000, version=4, properties=()):
    """NetMonitor in the path of a UDP load from client to server; returns (source, sink)."""
    sink = Sink(lab["server"], lab.build, version=version)
    lab.publisher.serve("netmonitor")
    lab.publisher.setup(lab.node, NETMONITOR, "netmonitor.wasm", filter_port=sink.port, filter_proto="udp",
                        filter_dst=sink.address, properties=["netserv.mode=path", *properties])
    source = Source(lab["client"], lab.build, sink, rate=rate)
    until(lambda: processed_by_modules(lab.node) > 1000, "NetMonitor sees packets")
    return source, sink


def processed_by_modules(node, counters=None):
    return sum(n for name, n in (counters or node.counters()).items() if name.startswith("processed_"))


def fates(node):
    """The forwarder's packets by what became of them: every one that came in is in exactly one."""
    counters = node.counters_now()
    by = {"passed by": 0, "processed": 0, "lost": 0, "dropped": 0}
    for name, n in counters.items():
        for prefix, fate in (("passed_by_", "passed by"), ("processed_", "processed"), ("lost_", "lost"),
                             ("dropped_", "dropped")):
            if name.startswith(prefix):
                by[fate] += n
    return counters["packets_in"], by


# What the planes lost. On the xdp plane a packet that finds no room passes by (bypass_full).
PLANE_LOSSES = ("xdp_transmit_ring_full", "xdp_exchange_lost", "xdp_to_kernel_failed", "queue_dropped", "raw_send_failed")


def counted_losses(lab, counters):
    """Packets lost between client and server, by where: each is counted by somebody."""
    lost = {name: counters.get(name, 0) for name in PLANE_LOSSES}
    for host, interface in (("client", "eth0"), ("edge", "eth0"), ("edge", "eth1"), ("server", "eth0")):
        seen = lab[host].interface_counters(interface)
        lost[f"{host} {interface}"] = seen["received_dropped"] + seen["sent_dropped"]
    lost["server's sockets"] = sum(lab["server"].udp_counters(v)["RcvbufErrors"] for v in (4, 6))
    return {where: n for where, n in lost.items() if n}


def main():
    probe.skip_unless((*probe.NODE, "AF_XDP", "sipp"))
    unittest.main(verbosity=2)
