#!/usr/bin/python3
"""netservd meets a container that another release has started: one that speaks the control protocol of the version
before is adopted, one that is older or can't map the forwarder's rings is replaced.

A relay stands in the container's place and makes it one of that release: it passes on what both sides say, but for the
version that one of them names.
"""

import os
import select
import signal
import socket
import threading
import unittest

import support
from netserv_lab.waiting import until
from support import KEEPALIVE, NETMONITOR, in_lab, load_through_netmonitor, processed_by_modules

HELLO = WELCOME = b"\0\0"  # the kind of the first message in either direction


def number(value):
    return value.to_bytes(4, "big")


def names_protocol(version):
    """Of Hello and Welcome: both have it first."""
    return lambda message: message[:2] + number(version) + message[6:]


def maps_rings(oldest, newest):
    """Of Welcome, which has them last."""
    return lambda message: message[:-8] + number(oldest) + number(newest)


class Relay:
    """On a container's control socket, until the `with` block's end: `hello` and `welcome` change these messages."""

    LONGEST = 1 << 17

    def __init__(self, node, hello=bytes, welcome=bytes):
        (folder,) = (node.run_folder / "containers").iterdir()
        self.hello, self.welcome = hello, welcome
        self.welcomes = []  # as netservd gets them
        self.container = folder / "container.sock"
        (folder / "control.sock").rename(self.container)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(folder / "control.sock"))
        self.listener.listen()
        self.ending, self.end = os.pipe()
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.close(self.end)
        self.thread.join()
        self.listener.close()
        os.close(self.ending)

    def serve(self):
        while self.ending not in select.select([self.ending, self.listener], [], [])[0]:
            netservd = self.listener.accept()[0]
            with netservd, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as container:
                try:
                    container.connect(str(self.container))
                    self.pass_on(netservd, container)
                except OSError:
                    pass  # one side is gone: so is the other, with the connections

    def pass_on(self, netservd, container):
        others = {netservd: container, container: netservd}
        while True:
            ready = select.select([self.ending, netservd, container], [], [])[0]
            if self.ending in ready:
                return
            for source in ready:
                message, fds, _, _ = socket.recv_fds(source, self.LONGEST, 64)
                if not message:
                    return
                if source is netservd and message[:2] == HELLO:
                    message = self.hello(message)
                if source is container and message[:2] == WELCOME:
                    message = self.welcome(message)
                    self.welcomes.append(message)
                socket.send_fds(others[source], [message], fds)
                for fd in fds:
                    os.close(fd)


class Release(unittest.TestCase):
    def netservd_is_replaced(self, node):
        node.netservd.kill(signal.SIGKILL)
        node.start_netservd()

    @in_lab()
    def test_container_of_the_version_before(self, lab):
        node = lab.node
        source, sink = load_through_netmonitor(lab, rate=2000)
        containers = node.container_processes()
        with Relay(node, hello=names_protocol(2)) as relay:
            self.netservd_is_replaced(node)
            node.wait_for_state(NETMONITOR, "ACTIVE")
            self.assertEqual([w[:6] for w in relay.welcomes], [WELCOME + number(2)], "it is one of the version before")
            processed = processed_by_modules(node, node.counters_now())
            until(lambda: processed_by_modules(node) > processed + 1000, "packets go through the module")
            self.assertEqual(node.module(NETMONITOR)["restarts"], 0)

            # It goes on as any: a new forwarder's rings, another module, and its end.
            node.forwarder.kill(signal.SIGKILL)
            node.start_forwarder()
            until(lambda: processed_by_modules(node) > 1000, "the new forwarder's packets go through the module")
            lab.publisher.serve("keepalive")
            lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", filter_port=5060, filter_proto="udp")
            lab.publisher.remove(node, KEEPALIVE)
            self.assertEqual(node.container_processes(), containers, "no container was restarted")
            source.stop()
            lab.publisher.remove(node, NETMONITOR)
            until(lambda: node.module(NETMONITOR) is None, "it is removed")

    def replaced(self, lab, why, **relay):
        node = lab.node
        lab.publisher.serve("netmonitor")
        lab.publisher.setup(node, NETMONITOR, "netmonitor.wasm", filter_port=5060, filter_proto="udp")
        containers = node.container_processes()
        with Relay(node, **relay):
            self.netservd_is_replaced(node)
            until(lambda: node.container_processes() not in ([], containers), "another container is there")
            node.wait_for_state(NETMONITOR, "ACTIVE")
        until(lambda: len(node.container_processes()) == 1, "the old one has ended")
        self.assertIn(why, node.netservd.output())

    @in_lab()
    def test_container_that_is_too_old(self, lab):
        self.replaced(lab, "it speaks version 1 of the control protocol, not 2 to 3",
                      hello=names_protocol(2), welcome=names_protocol(1))

    @in_lab()
    def test_container_that_maps_other_rings(self, lab):
        self.replaced(lab, "it maps packet rings of version 1 to 2, and the forwarder makes version 3",
                      welcome=maps_rings(1, 2))


if __name__ == "__main__":
    support.main()
