#!/usr/bin/python3
"""Processes killed under 20,000 packets a second: traffic goes on, and every packet is accounted for.

No test here measures time: it asserts that one thing happens before another, and that the books balance.
"""

import os
import signal
import unittest

import support
from netserv_lab.load import PORT, Sink, Source
from netserv_lab.waiting import until
from support import NETMONITOR, counted_losses, fates, in_lab, load_through_netmonitor, processed_by_modules


def queued_by_rules(node):
    """Packets that matched an NFQUEUE rule of the node's chain."""
    rows = [line.split() for line in node.host.run("iptables", "-t", "mangle", "-nvxL", "NETSERV-MATCH").stdout.splitlines()]
    return sum(int(row[0]) for row in rows if row[2:3] == ["NFQUEUE"])


class UnderTraffic(unittest.TestCase):
    def books_balance(self, lab, source, sink):
        """Stops the load, and compares what was sent with what arrived and what is said of the rest: those whose
        verdict got lost with a container were passed on as received, so that each packet arrives, once, or is
        counted where it was lost."""
        sent = source.stop()

        def wanted():
            return sent - by["dropped"] - sum(lost().values())

        def lost():
            return counted_losses(lab, lab.node.counters())

        incoming, by = fates(lab.node)
        self.assertEqual(incoming, sum(by.values()), f"every packet in has one fate: {by}")
        until(lambda: sink.distinct >= wanted(), lambda: f"sent {sent}, arrived {sink.counts()}, fates {by}, lost {lost()}")
        self.assertEqual(sink.distinct, wanted(), f"sent {sent}, fates {by}, lost {lost()}")
        self.assertEqual(sink.counts()["duplicates"], 0)
        self.assertEqual(lab.node.counters().get("xdp_frames_missing", 0), 0)
        return by

    @in_lab()
    def test_container_killed(self, lab):
        self.container_killed(lab)

    @in_lab(plane="netfilter")
    def test_container_killed_on_netfilter(self, lab):
        self.container_killed(lab)

    def container_killed(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        (victim,) = node.container_processes()
        # With netservd held, no container can come back; traffic has to do without one.
        node.netservd.signal(signal.SIGSTOP)
        os.kill(victim, signal.SIGKILL)
        sink.wait_for_more(2000)
        until(lambda: node.container_processes() == [], "forwarding resumes before the container is back")
        node.netservd.signal(signal.SIGCONT)
        until(lambda: node.container_processes() not in ([], [victim]), "a new container is there")
        node.wait_for_state(NETMONITOR, "ACTIVE")
        processed = processed_by_modules(node)
        until(lambda: processed_by_modules(node) > processed + 1000, "the new container works")
        by = self.books_balance(lab, source, sink)
        self.assertGreater(by["passed by"], 0, by)

    @in_lab()
    def test_container_killed_again_and_again(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        for _ in range(3):
            (victim,) = node.container_processes()
            os.kill(victim, signal.SIGKILL)
            sink.wait_for_more(1000)
            until(lambda: node.container_processes() not in ([], [victim]), "a new container is there")
            node.wait_for_state(NETMONITOR, "ACTIVE")
        self.books_balance(lab, source, sink)

    @in_lab()
    def test_container_stopped(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        (victim,) = node.container_processes()
        os.kill(victim, signal.SIGSTOP)
        passed = fates(node)[1]["passed by"]
        until(lambda: fates(node)[1]["passed by"] > passed + 1000, "packets pass by the stopped container")
        os.kill(victim, signal.SIGCONT)
        processed = processed_by_modules(node, node.counters_now())
        until(lambda: processed_by_modules(node) > processed + 1000, "it, or one in its place, works again")
        self.books_balance(lab, source, sink)

    @in_lab()
    def test_forwarder_stopped(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        containers = node.container_processes()
        node.forwarder.signal(signal.SIGSTOP)
        sink.wait_for_more(4000)  # its heartbeat ages: the kernel forwards
        node.forwarder.signal(signal.SIGCONT)
        processed = processed_by_modules(node, node.counters_now())
        until(lambda: processed_by_modules(node) > processed + 1000, "the forwarder works again")
        self.assertEqual(node.container_processes(), containers, "no container was restarted")
        self.books_balance(lab, source, sink)

    @in_lab(plane="netfilter")
    def test_forwarder_stopped_on_netfilter(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        containers = node.container_processes()
        node.forwarder.signal(signal.SIGSTOP)
        sink.wait_for_more(8192 + 4000)  # more than the queue holds: the watchdog has made it full for all, they pass
        node.forwarder.signal(signal.SIGCONT)
        processed = processed_by_modules(node, node.counters_now())
        until(lambda: processed_by_modules(node) > processed + 1000, "the forwarder works again")
        self.assertEqual(node.container_processes(), containers, "no container was restarted")
        sent = source.stop()

        def lost():
            return counted_losses(lab, node.counters())

        until(lambda: sink.distinct >= sent - sum(lost().values()),
              lambda: f"all {sent} arrive: {sink.counts()}, lost {lost()}")
        self.assertEqual(sink.counts()["duplicates"], 0)
        incoming, by = fates(node)
        self.assertEqual(incoming, sum(by.values()), f"every packet in has one fate: {by}")
        counters, queued = node.counters(), queued_by_rules(node)
        self.assertLessEqual(queued, sent)
        self.assertGreaterEqual(queued, sent - sum(n for where, n in lost().items() if where in ("client eth0", "edge eth0")))
        passed_the_queue = queued - incoming - counters["queue_unseen"] - counters["queue_freed_unseen"]
        self.assertGreater(passed_the_queue, 1000, counters)
        self.assertEqual(counters["queue_dropped"], 0)

    @in_lab()
    def test_interface_down_and_up(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        containers = node.container_processes()
        for interface in ("eth0", "eth1"):
            node.host.run("ip", "link", "set", interface, "down")
            node.host.run("ip", "link", "set", interface, "up")
            processed = processed_by_modules(node, node.counters_now())
            until(lambda: processed_by_modules(node) > processed + 1000, "packets go through the module again")
            sink.wait_for_more(1000)
        source.stop()
        incoming, by = fates(node)
        self.assertEqual(incoming, sum(by.values()), f"every packet in has one fate: {by}")
        self.assertEqual(node.counters()["xdp_frames_missing"], 0)
        self.assertEqual(node.container_processes(), containers, "no container was restarted")

    @in_lab()
    def test_forwarder_killed(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        containers = node.container_processes()
        node.forwarder.kill(signal.SIGKILL)
        sink.wait_for_more(2000)  # its XDP program is gone with it: the kernel forwards
        node.start_forwarder()
        until(lambda: processed_by_modules(node) > 1000, "the new forwarder hands packets to the old container")
        self.assertEqual(node.container_processes(), containers, "no container was restarted")
        sink.wait_for_more(1000)
        source.stop()

    def forwarder_killed_fail_closed(self, lab):
        lab.publisher.policy["fail_closed"] = True
        lab.start()
        source, sink = load_through_netmonitor(lab, properties=["netserv.fail=closed"])
        other_sink = Sink(lab["server"], lab.build, port=PORT + 1)
        others = Source(lab["client"], lab.build, other_sink, name="others")
        other_sink.wait_for_more(1000)
        lab.node.forwarder.kill(signal.SIGKILL)
        other_sink.wait_for_more(4000)  # what was under way has arrived
        came = sink.distinct
        other_sink.wait_for_more(4000)
        self.assertEqual(sink.distinct, came, "nothing passes without its module, but everything else does")
        lab.node.start_forwarder()
        sink.wait_for_more(1000)
        for each in (source, others):
            each.stop()

    @in_lab(start=False)
    def test_forwarder_killed_fail_closed(self, lab):
        self.forwarder_killed_fail_closed(lab)

    @in_lab(start=False, plane="netfilter")
    def test_forwarder_killed_fail_closed_on_netfilter(self, lab):
        self.forwarder_killed_fail_closed(lab)

    @in_lab()
    def test_netservd_killed(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        containers = node.container_processes()
        before = node.module(NETMONITOR)
        node.netservd.kill(signal.SIGKILL)
        sink.wait_for_more(2000)
        node.start_netservd()
        node.wait_for_state(NETMONITOR, "ACTIVE")
        after = node.module(NETMONITOR)
        self.assertLessEqual(after["ttl_s"], before["ttl_s"], "the ttl runs on")
        self.assertEqual(node.container_processes(), containers, "the container was adopted, not restarted")
        processed = processed_by_modules(node)
        until(lambda: processed_by_modules(node) > processed + 1000, "the module still works")
        self.books_balance(lab, source, sink)

    @in_lab()
    def test_drain_under_traffic_and_across_a_restart(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        node.command("node", "drain")
        self.nothing_processed(node, sink)
        node.netservd.stop()
        node.start_netservd()
        self.assertTrue(node.status()["state"] == "draining")
        self.nothing_processed(node, sink)
        node.command("node", "undrain")
        processed = processed_by_modules(node)
        until(lambda: processed_by_modules(node) > processed + 1000, "modules work again")
        self.books_balance(lab, source, sink)

    @in_lab()
    def test_disable_under_traffic_and_across_a_restart(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab)
        node.command("node", "disable", "alice")
        self.nothing_processed(node, sink)
        for process, start in ((node.netservd, node.start_netservd), (node.forwarder, node.start_forwarder)):
            process.stop()
            start()
        self.nothing_processed(node, sink)
        node.command("node", "enable", "alice")
        processed = processed_by_modules(node)
        until(lambda: processed_by_modules(node) > processed + 1000, "her modules work again")
        source.stop()

    def nothing_processed(self, node, sink):
        processed = processed_by_modules(node, node.counters_now())
        sink.wait_for_more(2000)
        self.assertEqual(processed_by_modules(node, node.counters_now()), processed)


if __name__ == "__main__":
    support.main()
