#!/usr/bin/python3
"""Which plane a node takes and why, and modules that only watch, on both planes and both IP versions."""

import unittest

import support
from netserv_lab.load import Sink, Source
from netserv_lab.visualizer import Visualizer
from netserv_lab.waiting import until
from support import NETMONITOR, in_lab, load_through_netmonitor, processed_by_modules


class Choice(unittest.TestCase):
    @in_lab(plane="auto")
    def test_auto_goes_around_nothing_unasked(self, lab):
        node, edge = lab.node, lab["edge"]
        self.takes(node, "xdp", "no forward rules, NAT or qdiscs in its way")
        source, sink = load_through_netmonitor(lab, rate=2000)

        edge.run("iptables", "-A", "FORWARD", "-p", "tcp", "--dport", "4242", "-j", "DROP")
        edge.run("tc", "qdisc", "add", "dev", "eth1", "root", "bfifo")
        edge.run("ip", "xfrm", "policy", "add", "src", "192.0.2.0/24", "dst", "198.51.100.0/24", "dir", "fwd", "action", "block")
        edge.run("ip", "xfrm", "policy", "add", "src", "192.0.2.0/24", "dst", "198.51.100.0/24", "dir", "in", "action", "block")
        edge.run("ip", "xfrm", "policy", "setdefault", "fwd", "block")
        edge.run("sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1")
        around = "iptables filter FORWARD (1 rule), ip xfrm policy (1 rule), ip xfrm default policy, strict rp_filter on eth0, qdisc bfifo on eth1"
        self.restart_forwarder(node)
        self.takes(node, "netfilter", f"xdp would go around {around}; bypass = true allows that")
        until(lambda: processed_by_modules(node) > 500, "the module works on this plane")

        node.bypass = True
        node.write_config()
        self.restart_forwarder(node)
        self.takes(node, "xdp", f"bypass = true: goes around {around}")
        until(lambda: processed_by_modules(node) > 500, "the module works on this plane")

        edge.run("ip", "xfrm", "policy", "setdefault", "fwd", "accept")
        node.bypass = False
        node.plane = "netfilter"
        node.write_config()
        self.restart_forwarder(node)
        self.takes(node, "netfilter", "configured")
        sink.wait_for_more(500)
        source.stop()

    @staticmethod
    def restart_forwarder(node):
        node.forwarder.stop()
        until(lambda: node.status()["forwarder"] == "absent", "netservd notices")
        node.start_forwarder()
        until(lambda: node.status()["forwarder"] == "connected", "netservd meets the new forwarder")

    def takes(self, node, plane, reason):
        """As node status, the forwarder's log and check-config say."""
        status = node.status()
        self.assertEqual((status["plane"], status["plane_reason"]), (plane, reason))
        self.assertIn(reason, node.command("node", "status").stdout, "for people too")
        self.assertIn(f": {reason}", node.forwarder.output())
        interfaces = " on eth0, eth1, eth2, eth3" if plane == "xdp" else ""
        self.assertIn(f"# plane {plane}{interfaces}: {reason}", node.command("node", "check-config", node.config).stdout)


class Watching(unittest.TestCase):
    PACKETS = 2000

    def watch(self, lab, mode, version):
        """NetMonitor counts every packet of a flow, and each arrives."""
        visualizer = Visualizer(lab["visualizer"])
        sink = Sink(lab["server"], lab.build, version=version)
        lab.publisher.serve("netmonitor")
        lab.publisher.setup(lab.node, NETMONITOR, "netmonitor.wasm", filter_port=sink.port, filter_proto="udp",
                            filter_dst=sink.address, properties=[f"netserv.mode={mode}", *visualizer.properties])
        source = Source(lab["client"], lab.build, sink, rate=1000, seconds=2)
        until(lambda: sink.distinct == self.PACKETS, lambda: f"all packets arrive: {sink.counts()}, {lab.node.counters()}")
        flow = (lab["client"].address(version), sink.address, 64)
        until(lambda: visualizer.counts().get(flow) == self.PACKETS, lambda: f"{flow} counted: {visualizer.counts()}")
        self.assertEqual(source.stop(), self.PACKETS)

    @in_lab(patient=True)
    def test_ipv6_as_an_observer(self, lab):
        self.watch(lab, "observe", 6)

    @in_lab(patient=True)
    def test_ipv6_in_the_path(self, lab):
        self.watch(lab, "path", 6)

    @in_lab(plane="netfilter", patient=True)
    def test_ipv6_as_an_observer_on_netfilter(self, lab):
        self.watch(lab, "observe", 6)

    @in_lab(patient=True)
    def test_where_the_driver_takes_no_redirected_packets(self, lab):
        lab["server"].run("ethtool", "-K", "eth0", "gro", "off")  # so this veth's other end takes none
        self.watch(lab, "observe", 4)
        self.assertEqual(lab.node.counters_now()["xdp_frames_missing"], 0)


if __name__ == "__main__":
    support.main()
