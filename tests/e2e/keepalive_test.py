#!/usr/bin/python3
"""The main job, over IPv4 as `make demo` tells it, over IPv6 with both kinds of keep-alive, and in all the forms that
keep-alives and what is none of them come in."""

import importlib.util
import select
import socket
import unittest
from pathlib import Path

import support
from netserv_lab import kernel, sip
from netserv_lab.story import Story
from netserv_lab.waiting import until
from support import KEEPALIVE, in_lab

VECTORS = Path(support.__file__).resolve().parent.parent / "vectors/rfc4475"
SCENARIO = Path(support.__file__).resolve().parent.parent.parent / "lab/scenarios/keepalive.py"


class KeepAlive(unittest.TestCase):
    def the_demo(self, lab):
        spec = importlib.util.spec_from_file_location("keepalive", SCENARIO)
        scenario = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(scenario)
        scenario.run(lab, Story())

    @in_lab("sites", start=False, patient=True)
    def test_the_demo(self, lab):
        self.the_demo(lab)

    @in_lab("sites", start=False, patient=True, plane="netfilter")
    def test_the_demo_on_netfilter(self, lab):
        self.the_demo(lab)

    @in_lab(patient=True)
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
        self.assertGreaterEqual(client_host.udp_counters(6)["InDatagrams"], 100)  # more, if one was late and asked for again
        self.assertEqual(server_host.udp_counters(6)["InDatagrams"], 0)

        lab.publisher.remove(lab.node, KEEPALIVE)
        after = sip.Client(client_host, server_host, name="after", port=5063, version=6, calls=20, rate=50)
        self.assertEqual(after.process.wait(), 0, after.process.tail())
        until(lambda: server_host.udp_counters(6)["InDatagrams"] >= 20, "the SIP server gets them again")

    @in_lab(patient=True)
    def test_compact_folded_and_any_case(self, lab):
        self.deploy(lab)
        client = sip.Client(lab["client"], lab["server"], kind="compact", calls=50, rate=50)
        self.assertEqual(client.process.wait(), 0, client.process.tail())
        self.assertEqual(client.successful, 50)
        self.assertEqual(lab["server"].udp_counters()["InDatagrams"], 0)

    @in_lab(patient=True)
    def test_pings_of_rfc_5626_and_what_is_no_keep_alive(self, lab):
        """Double CRLF is answered, 4-byte pings are swallowed; RFC 4475's messages arrive as they were sent."""
        self.deploy(lab)
        server, client = (udp_socket(lab[name]) for name in ("server", "client"))
        target = (lab["server"].address(), sip.PORT)

        def arrives(data):
            """What comes of a datagram: (who receives something, what)."""
            client.sendto(data, target)
            (where, *_), _, _ = select.select([server, client], [], [], 30)
            return ("server" if where is server else "client"), where.recv(65536)

        self.assertEqual(arrives(b"\r\n\r\n"), ("client", b"\r\n"))
        for message in sorted(VECTORS.glob("*.dat")):
            self.assertEqual(arrives(message.read_bytes()), ("server", message.read_bytes()), message.name)

        def ping_is_swallowed():
            client.sendto(bytes(4), target)
            return lab.node.counters_now().get("processed_dropped", 0) > 0

        until(ping_is_swallowed, "a 4-byte ping is swallowed")

    def deploy(self, lab):
        lab.publisher.serve("keepalive")
        lab.publisher.setup(lab.node, KEEPALIVE, "keepalive.wasm", filter_port=5060, filter_proto="udp")


def udp_socket(host):
    """One on the SIP port of a host, with a time limit on what it waits for."""
    with kernel.network_of(host.fd):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((host.address(), sip.PORT))
    s.settimeout(30)
    return s


if __name__ == "__main__":
    support.main()
