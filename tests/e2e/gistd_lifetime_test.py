#!/usr/bin/python3
"""How long gistd's associations live: kept open by MA-Hellos, closed when the peer is dead or no longer authorised."""

import os
import shutil
import signal
import unittest

from gistd_association_test import Authority, connections
from gistd_support import (BAD, NODE_AUTHORISATION, RELIABLE, ROUTING_STATUS, SECURE, Capture,
                           gistd_processes, hello_over_tcp, in_diamond, main, mri, new_session, wait)
from netserv_lab.waiting import until

FLOW = mri("10.1.0.2", "10.6.0.2")
OTHER_NSLP = 32705


def accepted(host, port=270):
    """Established TCP connections to a port of this host."""
    return host.run("ss", "-Htn", "state", "established", f"( sport = :{port} )").stdout.splitlines()


def ends(lines):
    """Without what waits to be read and sent."""
    return [line.split()[2:] for line in lines]


class Hello(unittest.TestCase):
    def needed_by_left_only(self, lab):
        """left's application, far's, and the session of an association that far has no use for any longer."""
        lab.gistds.start("left", "far", options=["--hold-time-ms", "3000"])
        left, far, session = lab.gistds.application("left"), lab.gistds.application("far"), new_session()
        left.send(session, FLOW, b"data", RELIABLE)
        wait(lambda: far.data(session), "it arrives", left, far)
        far.needs_no_longer(session, mri("10.1.0.2", "10.6.0.2", upstream=True))
        return left, far, session

    @in_diamond
    def test_one_side_keeps_open_what_the_other_needs_no_more_until_it_dies(self, lab):
        """far has no use for the association any longer, left has: its Hellos keep it. Then left falls silent."""
        # RFC5971: 4.4.5-1
        left, far, session = self.needed_by_left_only(lab)
        (ours,) = ends(connections(lab["left"], 270))
        wire = Capture(lab["left"], "eth0")
        # Three times what far waits for a sign of life, or longer.
        until(lambda: sum(hello_over_tcp(p) for p in wire.read()) >= 6, "left says Hello again and again")
        self.assertEqual(ends(connections(lab["left"], 270)), [ours])
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
        left, _, session = self.needed_by_left_only(lab)
        left.needs_no_longer(session, FLOW)
        until(lambda: not accepted(lab["far"]) and not connections(lab["left"], 270), "both ends are closed")


class Reload(unittest.TestCase):
    @in_diamond
    def test_peers_are_taken_up_again_on_sighup(self, lab):
        # RFC5971: 4.4.2-3
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

    @in_diamond
    def test_renewed_certificates_are_for_new_associations(self, lab):
        """far gets another certificate; mid, which sets up associations of its own, sees which it shows."""
        authority = Authority(lab["left"], "authority")
        shown = lab["far"].folder / "shown"
        certificate, key = shown.with_suffix(".pem"), shown.with_suffix(".key")

        def install(name):
            _, new_certificate, _, new_key, _, _ = authority.options(name)
            shutil.copy(new_certificate, certificate), shutil.copy(new_key, key)

        def reload(line):
            before = far.output().count(line)
            far.signal(signal.SIGHUP)
            until(lambda: far.output().count(line) == before + 1, lambda: f"{line}\n{far.tail()}")

        def mid_is_shown(name):
            lab.gistds.start("mid", options=authority.options("mid.example.net"))
            asks, answers = lab.gistds.application("mid", OTHER_NSLP), lab.gistds.application("far", OTHER_NSLP)
            session = new_session()
            asks.send(session, mri("10.4.0.2", "10.6.0.2"), b"who are you?", RELIABLE | SECURE)
            wait(lambda: answers.data(session), lambda: f"it arrives: {asks.told}", asks, answers)
            self.assertIn(f"{name}: association over TLS", lab.gistds["mid"].output())
            asks.close(), answers.close()
            lab.gistds["mid"].stop()

        install("first.example.net")
        lab.gistds.start("left", options=authority.options("left.example.net"))
        lab.gistds.start("far", options=["--certificate", certificate, "--key", key, "--authorities", authority.file])
        left, answers, far = lab.gistds.application("left"), lab.gistds.application("far"), lab.gistds["far"]
        processes, session = gistd_processes(far), new_session()
        left.send(session, FLOW, b"before..", RELIABLE | SECURE)
        wait(lambda: answers.data(session), lambda: f"it arrives: {left.told}", left, answers)
        (ours,) = ends(connections(lab["left"], 271))
        mid_is_shown("first.example.net")

        install("second.example.net")
        reload("certificate, key and authorities are taken up")
        mid_is_shown("second.example.net")
        left.send(session, FLOW, b"after...", RELIABLE | SECURE)
        wait(lambda: len(answers.data(session)) == 2, lambda: f"the old one goes on: {left.told}", left, answers)
        self.assertEqual(ends(connections(lab["left"], 271)), [ours])

        # Neither another's key, nor what is no certificate, nor nothing.
        install("third.example.net")
        shutil.copy(authority.options("fourth.example.net")[3], key)
        reload("certificate, key and authorities stay as they were")
        certificate.write_text("no PEM")
        reload("certificate, key and authorities stay as they were")
        certificate.unlink()
        reload("certificate, key and authorities stay as they were")
        mid_is_shown("second.example.net")
        self.assertEqual(gistd_processes(far), processes)


if __name__ == "__main__":
    main()
