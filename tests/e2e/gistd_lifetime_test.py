#!/usr/bin/python3
"""How long gistd's associations live: kept open by MA-Hellos, closed when the peer is dead or no longer authorised."""

import os
import signal
import unittest

from gistd_association_test import Authority, connections
from gistd_support import (BAD, NODE_AUTHORISATION, RELIABLE, ROUTING_STATUS, SECURE, Capture,
                           gistd_processes, hello_over_tcp, in_diamond, main, mri, new_session, wait)
from netserv_lab.waiting import until

FLOW = mri("10.1.0.2", "10.6.0.2")


def accepted(host, port=270):
    """Established TCP connections to a port of this host."""
    return host.run("ss", "-Htn", "state", "established", f"( sport = :{port} )").stdout.splitlines()


class Hello(unittest.TestCase):
    @in_diamond
    def test_one_side_keeps_open_what_the_other_needs_no_more_until_it_dies(self, lab):
        """far has no use for the association any longer, left has: its Hellos keep it. Then left falls silent."""
        # RFC5971: 4.4.5-1
        lab.gistds.start("left", "far", options=["--hold-time-ms", "400"])
        left, far = lab.gistds.application("left"), lab.gistds.application("far")
        session = new_session()
        left.send(session, FLOW, b"data", RELIABLE)
        wait(lambda: far.data(session), "it arrives", left, far)
        far.needs_no_longer(session, mri("10.1.0.2", "10.6.0.2", upstream=True))
        (ours,) = connections(lab["left"], 270)
        wire = Capture(lab["left"], "eth0")
        # Several times what far waits for a sign of life.
        until(lambda: sum(hello_over_tcp(p) for p in wire.read()) >= 8, "left says Hello again and again")
        self.assertEqual(connections(lab["left"], 270), [ours])
        self.assertEqual(len(accepted(lab["far"])), 1)

        for pid in gistd_processes(lab.gistds["left"]):
            os.kill(pid, signal.SIGSTOP)
        until(lambda: not accepted(lab["far"]), "far closes the association with the dead peer")
        for pid in gistd_processes(lab.gistds["left"]):
            os.kill(pid, signal.SIGCONT)
        wait(lambda: (ROUTING_STATUS, BAD) in [(n.type, n.status) for n in left.notified], "left learns of it", left, far)

        def arrives():
            left.send(session, FLOW, b"more", RELIABLE)
            return b"more" in far.data(session)

        wait(arrives, "over another one it goes on", left, far)

    @in_diamond
    def test_an_association_that_neither_side_needs_is_closed(self, lab):
        lab.gistds.start("left", "far", options=["--hold-time-ms", "400"])
        left, far = lab.gistds.application("left"), lab.gistds.application("far")
        session = new_session()
        left.send(session, FLOW, b"data", RELIABLE)
        wait(lambda: far.data(session), "it arrives", left, far)
        far.needs_no_longer(session, mri("10.1.0.2", "10.6.0.2", upstream=True))
        left.needs_no_longer(session, FLOW)
        until(lambda: not accepted(lab["far"]) and not connections(lab["left"], 270), "both ends are closed")


class Reload(unittest.TestCase):
    @in_diamond
    def test_peers_are_taken_up_again_on_sighup(self, lab):
        authority = Authority(lab["left"], "authority")
        config = lab["far"].folder / "gistd.toml"
        config.write_text('peer = ["allow left.example.net"]\n')
        lab.gistds.start("left", options=authority.options("left.example.net"))
        lab.gistds.start("far", options=[*authority.options("far.example.net"), "--config", config])
        left, far, daemon = lab.gistds.application("left"), lab.gistds.application("far"), lab.gistds["far"]
        processes = gistd_processes(daemon)

        def arrives(text):
            session = new_session()
            left.send(session, FLOW, text, RELIABLE | SECURE)
            wait(lambda: far.data(session) == [text], lambda: f"{text}: {left.told}", left, far)

        def is_refused():
            """In TLS 1.3 the querier believes itself connected before it is."""
            session, line = new_session(), "not in the authorised peer database"
            before = daemon.output().count(line)
            left.send(session, FLOW, b"refused.", RELIABLE | SECURE)
            wait(lambda: daemon.output().count(line) > before, lambda: f"far refuses: {daemon.tail()}", left, far)
            self.assertEqual(far.data(session), [])

        def reload(text, line, times=1):
            config.write_text(text)
            daemon.signal(signal.SIGHUP)
            until(lambda: daemon.output().count(line) == times, lambda: f"{line}\n{daemon.tail()}")

        arrives(b"before..")
        reload('peer = ["deny left.example.net", "allow *"]\n', "authorised peers: 2 entries")
        until(lambda: not accepted(lab["far"], 271), "the association with it is closed")
        wait(lambda: NODE_AUTHORISATION in [n.type for n in far.notified], "the application is told", left, far)
        is_refused()

        # What makes no sense changes nothing; what a reload does not take up is said.
        reload('peer = ["permit left.example.net"]\n', "all stays as it was")
        reload('peer = [\n', "all stays as it was", times=2)
        is_refused()
        reload('peer = ["allow left.example.net"]\nt1-ms = 400\n', "other options need a restart")
        until(lambda: "authorised peers: 1 entries" in daemon.output(), "the new list is there")
        arrives(b"after...")
        self.assertEqual(gistd_processes(daemon), processes)


if __name__ == "__main__":
    main()
