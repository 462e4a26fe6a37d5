#!/usr/bin/python3
"""gistd on real sockets: how Queries are found on their way, and passed on by who has no part in them."""

import unittest

from gistd_support import ASKS_ONCE, NLI, PATH, Capture, case, gist_message, in_diamond, main, objects
from netserv_lab.waiting import until

V4, V6 = "10.6.0.2", "fd00:6::2"


def by_router_alert(interfaces=3):
    return ["--intercept", "none", *(f"--interface=eth{i}=router-alert" for i in range(interfaces))]


class Interception(unittest.TestCase):
    @in_diamond
    def test_by_packet_filter(self, lab):
        lab.gistds.start("left", *PATH)
        for target in (V4, V6):
            with case(target):
                answer = lab.gistds.ping(target, count=2)
                self.assertEqual([(h["hop"], h["name"], h["answers"]) for h in answer["path"]],
                                 [(1, "near", 2), (2, "mid", 2), (3, "far", 2)])
                self.assertTrue(answer["complete"], answer)

    @in_diamond
    def test_by_router_alert(self, lab):
        lab.gistds.start("left")
        for name, interfaces in (("near", 3), ("mid", 2), ("far", 3)):
            lab.gistds.start(name, options=by_router_alert(interfaces))
        for target in (V4, V6):
            with case(target):
                self.assertEqual(lab.gistds.nodes(target), list(PATH))

    @in_diamond
    def test_what_a_node_does_not_host_goes_on_as_it_came(self, lab):
        # RFC5971: 5.3.2.4-1
        lab.gistds.start("left", "near", "far", options=ASKS_ONCE)
        for how in ([], by_router_alert(2)):
            lab.gistds.start("mid", options=["--no-ping", *ASKS_ONCE, *how])
            for target in (V4, V6):
                with case((how, target)):
                    before, after = Capture(lab["mid"], "eth0"), Capture(lab["mid"], "eth1")
                    self.assertEqual(lab.gistds.nodes(target), ["near", "far"])
                    (came, *again), (went, *_) = before.gist(), after.gist()
                    self.assertEqual((len(again), len(after.gist())), (0, 1))
                    self.assertEqual(as_if_passed_on(came), went)
            lab.gistds["mid"].stop()

    @in_diamond
    def test_packets_that_are_not_gists_pass(self, lab):
        """The right port without the magic number, and another port with a Router Alert Option."""
        lab.gistds.start("near")
        lab.gistds.start("mid", options=by_router_alert(2))
        arrived = Capture(lab["right"], "eth0")
        for number, (port, alert) in enumerate(((270, False), (270, True), (9, True))):
            lab["left"].run("python3", "-c", SEND, V4, port, int(alert), f"stranger{number}")
            # From left; right's ICMP errors quote them.
            until(lambda: [p[-9:] for p in arrived.read() if p[12:16] == bytes([10, 1, 0, 2])] ==
                  [b"stranger%d" % i for i in range(number + 1)], lambda: f"all arrive, once: {arrived.packets}")

    @in_diamond
    def test_peer_identities_are_each_nodes_own(self, lab):
        # RFC5971: 4.4.3-1
        lab.gistds.start("left", "near", options=ASKS_ONCE)
        seen = Capture(lab["left"], "eth0")
        for _ in range(2):
            lab.gistds.nodes(V4)
        queriers, responders = ([peer_identity(p) for p in seen.gist(kind)] for kind in (0, 1))
        self.assertEqual((len(queriers), len(set(queriers))), (2, 1))
        self.assertEqual((len(responders), len(set(responders))), (2, 1))
        self.assertNotEqual(queriers[0], responders[0])
        self.assertGreaterEqual(len(queriers[0]), 8)

    @in_diamond
    def test_no_gistd_on_the_path(self, lab):
        lab.gistds.start("left")
        answer = lab.gistds.ping(V4)
        self.assertEqual((answer["path"], answer["complete"]), ([], True))


SEND = """
import socket, sys
target, port, alert, text = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if alert:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([0x94, 4, 0, 0]))
s.sendto(text.encode(), (target, port))
"""


def peer_identity(packet):
    nli = objects(gist_message(packet))[NLI]
    return nli[8:8 + nli[0]]


def as_if_passed_on(packet):
    """The packet one router further: TTL and GIST hop count less by one, all else as it was."""
    out = bytearray(packet)
    v4 = packet[0] >> 4 == 4
    udp = len(packet) - len(gist_message(packet)) - 8
    out[8 if v4 else 7] -= 1
    out[udp + 8 + 5] -= 1
    if v4:
        out[10:12] = b"\0\0"
        out[10:12] = checksum(bytes(out[:udp]))
    out[udp + 6:udp + 8] = b"\0\0"
    length = len(out) - udp
    pseudo = (out[12:20] if v4 else out[8:40]) + bytes([0, 17]) + length.to_bytes(2, "big")
    out[udp + 6:udp + 8] = checksum(bytes(pseudo + out[udp:]))
    return bytes(out)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return (~total & 0xffff).to_bytes(2, "big")


if __name__ == "__main__":
    main()
