#!/usr/bin/python3
"""What an operator does: reloads the configuration, reads metrics, events and a module's log."""

import json
import subprocess
import unittest

import support
from netserv_lab import sip
from netserv_lab.publisher import Publisher
from netserv_lab.waiting import until
from support import KEEPALIVE, in_lab

FILTERS = {"filter_port": 5060, "filter_proto": "udp"}


class Operator(unittest.TestCase):
    @in_lab()
    def test_reload(self, lab):
        node, alice = lab.node, lab.publisher
        alice.serve("keepalive")
        alice.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        containers = node.container_processes()
        bob = Publisher(lab["visualizer"], lab.build, "bob")
        bob.serve("keepalive")
        self.assertEqual(bob.setup(node, KEEPALIVE, "keepalive.wasm", check=False, **FILTERS)["code"], 500)

        good = node.config.read_text()
        node.config.write_text(good + "\n[[publisher]]\nname = 7\n")
        node.reload()
        until(lambda: "netservd.toml" in node.netservd.output(), "netservd says what is wrong with the file")
        self.assertEqual(bob.setup(node, KEEPALIVE, "keepalive.wasm", check=False, **FILTERS)["code"], 500)
        self.assertEqual(node.state_of(KEEPALIVE), "ACTIVE")

        node.publishers.append(bob)
        node.write_config()
        node.reload()
        until(lambda: node.status()["publishers"] == 2, "netservd takes the good file over")
        answer = bob.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        self.assertEqual(answer["state"], "ACTIVE", answer)
        self.assertTrue(set(containers) < set(node.container_processes()), "alice's container did not notice")

    @in_lab()
    def test_bandwidth(self, lab):
        node, alice = lab.node, lab.publisher
        sip.Server(lab["server"])
        alice.serve("keepalive")
        alice.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)

        def shaped_to():
            (pid,) = node.container_processes()
            return [q["options"]["rate"] for q in json.loads(subprocess.check_output(
                ["nsenter", "-t", str(pid), "-n", "tc", "-j", "qdisc", "show", "dev", "eth0"])) if q["kind"] == "tbf"]

        self.assertEqual(shaped_to(), [10_000_000 * 125], "bytes a second over the container's sockets")
        alice.policy["bandwidth_kbit"] = 8
        node.write_config()
        node.reload()
        until(lambda: shaped_to() == [8 * 125], "the container's sockets are held to it")
        client = sip.Client(lab["client"], lab["server"], calls=40, rate=50)
        self.assertEqual(client.process.wait(), 0, client.process.tail())
        node.counters_now()
        refused = next(n for name, n in node.metrics().items() if 'counter="refused_bandwidth"' in name)
        self.assertGreater(refused, 10, "replies that the bandwidth does not allow")
        served = lab["server"].udp_counters()["InDatagrams"]
        self.assertEqual(served, refused, "each goes on to the server, as if no module were there")

    @in_lab()
    def test_metrics_and_events(self, lab):
        node = lab.node
        sip.Server(lab["server"])
        lab.publisher.serve("keepalive")
        lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        client = sip.Client(lab["client"], lab["server"], calls=40, rate=50)
        self.assertEqual(client.process.wait(), 0, client.process.tail())
        until(lambda: any("replied" in name and value >= 40 for name, value in node.metrics().items()),
              lambda: f"metrics tell of 40 replies: {node.metrics()}")
        lab.publisher.remove(node, KEEPALIVE)
        text = node.command("node", "events", "--last", 1000, "--json").stdout
        kinds = [json.loads(line)["kind"] for line in text.splitlines() if '"kind"' in line]
        for kind in ("accepted", "installed", "active", "removed"):
            self.assertIn(kind, kinds)


if __name__ == "__main__":
    support.main()
