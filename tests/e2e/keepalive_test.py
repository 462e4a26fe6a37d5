#!/usr/bin/python3
"""The main job, over IPv4 as `make demo` tells it, and over IPv6 with both kinds of keep-alive."""

import importlib.util
import unittest
from pathlib import Path

import support
from netserv_lab import sip
from netserv_lab.waiting import until
from support import KEEPALIVE, in_lab

SCENARIO = Path(support.__file__).resolve().parent.parent.parent / "lab/scenarios/keepalive.py"


class KeepAlive(unittest.TestCase):
    @in_lab("sites", start=False)
    def test_the_demo(self, lab):
        spec = importlib.util.spec_from_file_location("keepalive", SCENARIO)
        scenario = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(scenario)
        scenario.run(lab)

    @in_lab()
    def test_ipv6_options_and_notify(self, lab):
        server_host, client_host = lab["server"], lab["client"]
        sip.Server(server_host, version=6)
        lab.publisher.serve("keepalive")
        lab.publisher.setup(lab.node, KEEPALIVE, "keepalive.wasm", filter_port=5060, filter_proto="udp",
                            filter_dst=f"{server_host.address(6)}/128")
        clients = [sip.Client(client_host, server_host, kind=kind, name=kind, port=port, version=6, calls=50, rate=50)
                   for kind, port in (("options", 5061), ("notify", 5062))]
        for client in clients:
            self.assertEqual(client.process.wait(), 0, client.process.tail())
        self.assertEqual(client_host.udp_counters(6)["InDatagrams"], 100)
        self.assertEqual(server_host.udp_counters(6)["InDatagrams"], 0)

        lab.publisher.remove(lab.node, KEEPALIVE)
        after = sip.Client(client_host, server_host, name="after", port=5063, version=6, calls=20, rate=50)
        self.assertEqual(after.process.wait(), 0, after.process.tail())
        until(lambda: server_host.udp_counters(6)["InDatagrams"] == 20, "the SIP server gets them again")


if __name__ == "__main__":
    support.main()
