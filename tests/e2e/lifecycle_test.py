#!/usr/bin/python3
"""A module's life: refreshed, expired, asked for twice at once, removed without a trace; a cache that is full."""

import subprocess
import threading
import unittest

import support
from netserv_lab import kernel, sip
from netserv_lab.waiting import until
from support import KEEPALIVE, NETMONITOR, in_lab

FILTERS = {"filter_port": 5060, "filter_proto": "udp"}


class Lifecycle(unittest.TestCase):
    @in_lab()
    def test_remove_leaves_nothing(self, lab):
        node = lab.node
        rules, interfaces = node.rules(), node.interfaces()
        lab.publisher.serve("keepalive", "netmonitor")
        for module_id, file in ((KEEPALIVE, "keepalive.wasm"), (NETMONITOR, "netmonitor.wasm")):
            lab.publisher.setup(node, module_id, file, **FILTERS)
        self.assertEqual(len(node.container_processes()), 1, "one container for one publisher")
        for module_id in (KEEPALIVE, NETMONITOR):
            lab.publisher.remove(node, module_id)
        self.assertEqual(lab.publisher.remove(node, KEEPALIVE)["code"], 202, "removing what is absent is success")
        until(lambda: node.modules() == [], "no module is left")
        until(lambda: not node.container_processes(), "the container stops", 90)
        until(lambda: node.interfaces() == interfaces, lambda: f"its veth goes: {node.interfaces()}")
        self.assertEqual(node.rules(), rules)
        node.netservd.stop()
        node.forwarder.stop()
        self.assertEqual([rule for rule in node.rules() if "NETSERV" in rule], [])

    @in_lab()
    def test_expiry_and_refresh(self, lab):
        node = lab.node
        lab.publisher.serve("keepalive")
        lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", ttl=600, **FILTERS)
        answer = lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", ttl=3, **FILTERS)
        self.assertEqual(answer["code"], 203, answer)
        until(lambda: node.module(KEEPALIVE) is None, "it expires by itself")
        self.assertEqual(len(lab.publisher.requests()), 1, "a refresh downloads nothing")

    @in_lab()
    def test_the_operators_rules_stay(self, lab):
        for tool in ("iptables", "ip6tables"):
            lab.node.host.run(tool, "-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "4242", "-j", "DROP")
        rules = lab.node.rules()
        lab.publisher.serve("keepalive")
        lab.publisher.setup(lab.node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        self.assertTrue(set(rules) <= set(lab.node.rules()))
        lab.node.forwarder.kill()
        lab.node.start_forwarder()
        self.assertTrue(set(rules) <= set(lab.node.rules()))
        lab.node.netservd.stop()
        lab.node.forwarder.stop()
        self.assertEqual([r for r in lab.node.rules() if "4242" in r], [r for r in rules if "4242" in r])

    @in_lab()
    def test_two_setups_at_once(self, lab):
        lab.publisher.serve("keepalive")
        answers = []

        def ask():
            answers.append(lab.publisher.setup(lab.node, KEEPALIVE, "keepalive.wasm", check=False, **FILTERS))

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        # Two messages with nonces of their own: they join, one refreshes the other, or one is told that it is busy.
        for answer in answers:
            self.assertIn(answer["code"], (200, 201, 203, 400), answer)
        lab.node.wait_for_state(KEEPALIVE, "ACTIVE")
        self.assertEqual(len([m for m in lab.node.modules() if m["id"] == KEEPALIVE]), 1)
        self.assertEqual(len(lab.publisher.requests()), 1, "downloaded once")

    @in_lab(start=False)
    def test_cache_full(self, lab):
        node = lab.node
        kernel.mount("small", str(node.cache_folder), "tmpfs", 0, "size=16k,mode=755")
        node.start()
        lab.publisher.serve("keepalive")
        answer = lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", check=False, **FILTERS)
        self.assertEqual(answer["state"], "FAILED", answer)
        self.assertIn("disk is full", answer["text"])
        subprocess.run(["mount", "-o", "remount,size=64m", node.cache_folder], check=True)
        answer = lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        self.assertEqual(answer["state"], "ACTIVE", answer)

    @in_lab()
    def test_notifications(self, lab):
        lab.publisher.serve("keepalive")
        lab.publisher.setup(lab.node, KEEPALIVE, "keepalive.wasm", notification=lab.publisher.url("events"), **FILTERS)
        for kind in ("installed", "active"):
            lab.publisher.wait_for_notification(kind=kind, module=KEEPALIVE)
        lab.publisher.remove(lab.node, KEEPALIVE)
        lab.publisher.wait_for_notification(kind="removed", module=KEEPALIVE)
        lab.publisher.setup(lab.node, "absent_1.0.0", "keepalive.wasm", url=lab.publisher.url("absent.wasm"), digest="0" * 64,
                            check=False, notification=lab.publisher.url("events"), **FILTERS)
        lab.publisher.wait_for_notification(kind="failed", module="absent_1.0.0", code=403)
        (failed,) = [n for n in lab.publisher.posted() if n["kind"] == "failed"]
        self.assertIn("404", failed["text"], "and why")

    @in_lab(publishers={"alice": "publisher", "bob": "visualizer"})
    def test_two_publishers_on_one_flow(self, lab):
        alice, bob = lab.publishers["alice"], lab.publishers["bob"]
        alice.serve("keepalive")
        bob.serve("netmonitor")
        alice.setup(lab.node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        bob.setup(lab.node, NETMONITOR, "netmonitor.wasm", **FILTERS)
        self.assertEqual(len(lab.node.container_processes()), 2)
        sip.Server(lab["server"])
        client = sip.Client(lab["client"], lab["server"], calls=50, rate=50)
        self.assertEqual(client.process.wait(), 0, client.process.tail())
        # A forwarder that gets no processor time is passed by: what it did not answer has reached the server.
        replied, served = lab.node.counters_now()["processed_replied"], lab["server"].udp_counters()["InDatagrams"]
        self.assertGreater(replied, 0)
        self.assertGreaterEqual(replied + served, 50)
        alice.remove(lab.node, KEEPALIVE)
        self.assertEqual(lab.node.state_of(NETMONITOR), "ACTIVE", "bob's module is not touched")


if __name__ == "__main__":
    support.main()
