#!/usr/bin/python3
"""A node whose forwarder has two workers, a receive queue of each interface for each: nothing is different for modules."""

import unittest

import support
from netserv_lab.load import Sink, Source
from netserv_lab.waiting import until
from support import NETMONITOR, fates, in_lab, processed_by_modules


class Workers(unittest.TestCase):
    FLOWS, PACKETS = 8, 1000

    @in_lab(start=False, patient=True)
    def test_every_packet_of_every_queue_is_seen_and_arrives(self, lab):
        node = lab.node
        for host in ("client", "edge", "server"):
            for end in lab[host].spec.ends:
                lab[host].run("ethtool", "-L", end.interface, "rx", "2", "tx", "2")
        node.workers = 2
        lab.start()
        status = node.status()
        self.assertEqual((status["plane"], status["workers"]), ("xdp", 2))
        self.assertIn("worker 0: eth0/0", status["plane_detail"])
        self.assertIn("worker 1: eth0/1", node.command("node", "status").stdout, "for people too")

        sinks = [Sink(lab["server"], lab.build, port=9000 + i) for i in range(self.FLOWS)]
        lab.publisher.serve("netmonitor")
        lab.publisher.setup(node, NETMONITOR, "netmonitor.wasm", filter_proto="udp", filter_dst=sinks[0].address,
                            properties=["netserv.mode=path"])
        sources = [Source(lab["client"], lab.build, sink, rate=500, seconds=self.PACKETS / 500) for sink in sinks]
        until(lambda: sum(sink.distinct for sink in sinks) == self.FLOWS * self.PACKETS,
              lambda: f"all packets arrive: {[sink.counts() for sink in sinks]}, {node.counters()}")
        self.assertEqual(sum(source.stop() for source in sources), self.FLOWS * self.PACKETS)
        came, by = fates(node)
        self.assertEqual(sum(by.values()), came)
        self.assertEqual(processed_by_modules(node, node.counters_now()), came, "none went by")
        self.assertEqual(node.counters_now()["xdp_frames_missing"], 0)

        # The container stays, with another number of rings, whatever number of workers the next forwarder has.
        pid = node.containers()[0]["pid"]
        for workers in (1, 2):
            node.workers = workers
            node.write_config()
            node.forwarder.stop()
            until(lambda: node.status()["forwarder"] == "absent", "netservd notices")
            node.start_forwarder()
            until(lambda: node.status()["forwarder"] == "connected", "netservd meets the new forwarder")
            source = Source(lab["client"], lab.build, sinks[0], rate=500, seconds=600, name=f"again-{workers}")
            until(lambda: processed_by_modules(node) > 200, lambda: f"the module works with {workers}: {node.counters()}")
            source.stop()
            self.assertEqual(node.status()["workers"], workers)
        self.assertEqual(node.containers()[0]["pid"], pid)


if __name__ == "__main__":
    support.main()
