#!/usr/bin/python3
"""Who may connect and means ill: idle connections, requests cut off in the middle, floods of refusals. The operator and
the other publishers find the node as it was."""

import json
import socket
import unittest

import support
from netserv_lab.waiting import until
from support import KEEPALIVE, in_lab

FILTERS = {"filter_port": 5060, "filter_proto": "udp"}


def connection(path, text=b""):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(str(path))
    s.sendall(text)
    return s


def told(s):
    try:
        return s.recv(65536)
    except ConnectionResetError:  # one that could not follow, and had its place taken
        return b""


def refusals(node):
    lines = node.command("node", "events", "--last", 1000, "--json").stdout.splitlines()
    return [event for event in map(json.loads, lines) if event.get("kind") == "refused"]


class Flood(unittest.TestCase):
    @in_lab()
    def test_idle_connections(self, lab):
        node = lab.node
        lab.publisher.serve("keepalive")
        held = []
        for path, begun in ((node.ncm_socket, b"SETUP x_1 NETSER"), (node.admin_socket, b'{"verb":"sta')):
            held += [connection(path, begun if n % 2 else b"") for n in range(150)]
        # And some that ask, and never read what they are told.
        held += [connection(node.ncm_socket, b"PROBE * NETSERV/0.1\nprobe: capabilities\n\n" * 60) for _ in range(80)]
        self.assertEqual(node.status()["forwarder"], "connected")
        answer = lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        self.assertEqual(answer["state"], "ACTIVE", answer)
        for s in held:
            s.close()

    @in_lab()
    def test_followers(self, lab):
        node = lab.node
        held = [connection(node.admin_socket, b'{"verb":"events","follow":true,"last":0}\n') for _ in range(70)]
        until(lambda: node.status()["state"] == "running", "the operator finds a place")
        node.command("node", "drain")
        followers = [s for s in held if b'"drained"' in told(s)]
        self.assertGreater(len(followers), 40, "those that follow are told")
        for s in held:
            s.close()

    @in_lab()
    def test_refusals(self, lab):
        node = lab.node
        lab.publisher.serve("keepalive")
        lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        for _ in range(10):
            node.ncm("SETUP x_1 NETSERV/0.1\nuser: nobody\nurl: http://a/\nsignature: AAAA\n\n" * 60)
        until(lambda: any("more requests refused" in event["text"] for event in refusals(node)),
              "the operator is told how many there were")
        self.assertLess(len(refusals(node)), 100, "not a line for each")

        def counted():
            return sum(n for name, n in node.metrics().items() if name.startswith('netserv_installs_total{outcome="refused"'))

        until(lambda: counted() >= 600, lambda: f"all are counted: {counted()}")
        self.assertEqual(node.state_of(KEEPALIVE), "ACTIVE")
        lines = [line for line in node.netservd.output().splitlines() if "refused" in line]
        self.assertLess(len(lines), 100)


if __name__ == "__main__":
    support.main()
