#!/usr/bin/python3
"""gistd's messaging associations over TCP and TLS: who may have one, and what goes over it."""

import os
import signal
import unittest
from datetime import datetime, timedelta, timezone

from gistd_support import (BAD_PAYLOAD, IN_QUERY, NO_ASSOCIATION, OVERLOAD, RELIABLE, SECURE, SENT, case, gistd_processes,
                           in_diamond, is_upstream, main, mri, new_session, wait)

FAR = "10.4.0.1"
FLOWS = {4: ("10.1.0.2", "10.6.0.2"), 6: ("fd00:1::2", "fd00:6::2")}


class Authority:
    """A certificate authority; makes certificates for names."""

    def __init__(self, host, name):
        self.host, self.name = host, name
        self.file = host.folder / f"{name}.pem"
        self._run("req", "-x509", *NEW_KEY, "-keyout", host.folder / f"{name}.key", "-out", self.file, "-subj", f"/CN={name}",
                  "-days", 1)

    def _run(self, *arguments):
        self.host.run("openssl", *arguments)

    def options(self, name, trusted=None):
        """gistd's options to be `name`, and to believe in `trusted` (this authority)."""
        base = self.host.folder / f"{self.name}-{name}"
        self._run("req", "-x509", *NEW_KEY, "-keyout", f"{base}.key", "-out", f"{base}.pem", "-subj", f"/CN={name}", "-days", 1,
                  "-addext", f"subjectAltName=DNS:{name}", "-CA", self.file, "-CAkey", self.host.folder / f"{self.name}.key")
        return ["--certificate", f"{base}.pem", "--key", f"{base}.key", "--authorities", (trusted or self).file]


    def revoke(self, name):
        """Its revocation list, with that certificate, joins the authority's own in its file."""
        def of(what):
            return self.host.run("openssl", "x509", "-in", self.host.folder / f"{self.name}-{name}.pem", "-noout", f"-{what}").stdout
        base = self.host.folder / f"{self.name}-revoked"
        day = "%y%m%d%H%M%SZ"
        now = datetime.now(timezone.utc)
        base.with_suffix(".index").write_text("\t".join(
            ["R", (now + timedelta(days=1)).strftime(day), now.strftime(day), of("serial").strip().partition("=")[2], "unknown",
             f"/CN={name}"]) + "\n")
        base.with_suffix(".cnf").write_text(f"[ca]\ndefault_ca = a\n[a]\ndatabase = {base}.index\ndefault_md = sha256\n"
                                            "default_crl_days = 1\n")
        self._run("ca", "-gencrl", "-config", f"{base}.cnf", "-cert", self.file, "-keyfile", self.host.folder / f"{self.name}.key",
                  "-out", f"{base}.crl")
        with open(self.file, "a") as file:
            file.write(base.with_suffix(".crl").read_text())


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl_at_most(folder, version):
    """A configuration of OpenSSL's library."""
    path = folder / f"{version}.cnf"
    path.write_text(f"openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = {version}\n")
    return str(path)


def connections(host, port):
    """Established TCP connections to a port of others."""
    return host.run("ss", "-Htn", "state", "established", f"( dport = :{port} )").stdout.splitlines()


def exchange(test, gistds, attributes, version=4):
    """From left's application to far's and back; returns what far's and left's last messages came with."""
    left, far = gistds.application("left"), gistds.application("far")
    session, (source, destination) = new_session(), FLOWS[version]
    sent = [bytes([i]) * 64 for i in range(8)]
    handles = [left.send(session, mri(source, destination), data, attributes) for data in sent]
    wait(lambda: len(far.data(session)) == len(sent) and all(map(left.status_of, handles)),
         lambda: f"all arrive: {far.received} {left.told}", left, far)
    test.assertEqual(far.data(session), sent)
    test.assertEqual([left.status_of(h).error for h in handles], [SENT] * len(sent))
    back = far.send(session, mri(source, destination, upstream=True), b"back", attributes & ~IN_QUERY)
    wait(lambda: left.data(session) and far.status_of(back), "the answer arrives", left, far)
    test.assertTrue(is_upstream(left.received[-1].flow))
    seen = far.received[-1].attributes, left.received[-1].attributes
    for each in (left, far):
        each.close()
    return seen


class OverTcp(unittest.TestCase):
    @in_diamond
    def test_both_ways_in_order_over_one_connection(self, lab):
        # RFC5971: 5.7.1-3, 5.7.2-1
        lab.gistds.start("left", "far")
        for version in (4, 6):
            with case(version):
                for came in exchange(self, lab.gistds, RELIABLE, version):
                    self.assertTrue(came & RELIABLE)
                    self.assertFalse(came & SECURE)
                self.assertEqual(len(connections(lab["left"], 270)), 1)
                lab.gistds["left"].stop()
                lab.gistds.start("left")

    @in_diamond
    def test_sessions_share_an_association(self, lab):
        lab.gistds.start("left", "far")
        left, far = lab.gistds.application("left"), lab.gistds.application("far")
        sessions = [new_session() for _ in range(5)]
        for session in sessions:
            left.send(session, mri(*FLOWS[4]), b"data", RELIABLE)
            wait(lambda: far.data(session), "it arrives", left, far)
        self.assertEqual(len(connections(lab["left"], 270)), 1)

    @in_diamond
    def test_what_is_too_long_for_a_datagram_goes_over_an_association(self, lab):
        lab.gistds.start("left", "far")
        left, far = lab.gistds.application("left"), lab.gistds.application("far")
        session = new_session()
        for size, over in ((256, 0), (600, RELIABLE), (16380, RELIABLE)):
            with case(size):
                left.send(session, mri(*FLOWS[4]), bytes(size))
                wait(lambda: bytes(size) in far.data(session), "it arrives", left, far)
                self.assertEqual(far.received[-1].attributes & RELIABLE, over)
        longer = left.send(session, mri(*FLOWS[4]), bytes(16384))  # than an object can be (A.2)
        wait(lambda: left.status_of(longer), "it is refused", left, far)
        self.assertEqual(left.status_of(longer).error, BAD_PAYLOAD)

    @in_diamond
    def test_no_association_to_be_had(self, lab):
        """What has to be reliable fails, what has not goes on."""
        lab.gistds.start("left")
        lab.gistds.start("far", options=["--tcp-port", "0"])
        left, far = lab.gistds.application("left"), lab.gistds.application("far")
        session = new_session()
        must = left.send(session, mri(*FLOWS[4]), b"must", RELIABLE)
        wait(lambda: left.status_of(must), "it is refused", left, far)
        self.assertEqual(left.status_of(must).error, NO_ASSOCIATION)
        left.send(session, mri(*FLOWS[4]), b"can ")
        wait(lambda: far.data(session), "the other arrives", left, far)
        self.assertEqual(far.data(session), [b"can "])


class FlowControl(unittest.TestCase):
    def setUp(self):
        self.sent = []

    def stalled(self, lab):
        """far's gistd reads no more, and left's application has sent until it was told of that."""
        for name in ("left", "far"):
            for buffers in ("tcp_rmem", "tcp_wmem"):
                lab[name].set_sysctl(f"net.ipv4.{buffers}", "4096 32768 65536")
        lab.gistds.start("left", "far")
        left, far = lab.gistds.application("left"), lab.gistds.application("far")
        session = new_session()
        left.send(session, mri(*FLOWS[4]), b"\xff\xff\xff\xff", RELIABLE)
        wait(lambda: far.data(session), "the association is there", left, far)
        for pid in gistd_processes(lab.gistds["far"]):
            os.kill(pid, signal.SIGSTOP)
        data = {}

        def refused():
            for _ in range(8):
                number = len(data).to_bytes(4, "big")
                data[left.send(session, mri(*FLOWS[4]), number * 2048, RELIABLE)] = number
            return any(t.error == OVERLOAD for t in left.told)

        wait(refused, "the sender is told", left)
        wait(lambda: left.told[-1].handle == left.last_handle, "of all", left)
        self.sent = [data[t.handle] for t in left.told if t.error == SENT and t.handle in data]
        return left, far, session

    def goes_on(self, lab, far, session):
        """far's gistd reads again: all arrives that was said to be sent."""
        for pid in gistd_processes(lab.gistds["far"]):
            os.kill(pid, signal.SIGCONT)
        wait(lambda: len(far.data(session)) > len(self.sent), "all arrive", far)
        self.assertEqual([d[:4] for d in far.data(session)[1:]], self.sent)

    @in_diamond
    def test_a_peer_that_does_not_read_is_the_senders_matter(self, lab):
        # RFC5971: 4.1.1-1
        left, far, session = self.stalled(lab)
        self.goes_on(lab, far, session)
        after = left.send(session, mri(*FLOWS[4]), b"more", RELIABLE)
        wait(lambda: far.data(session)[-1] == b"more" and left.status_of(after), "it goes on", left, far)
        self.assertEqual(left.status_of(after).error, SENT)
        self.assertEqual(len(connections(lab["left"], 270)), 1)

    @in_diamond
    def test_what_waits_is_sent_before_the_end(self, lab):
        # RFC5971: 4.4.5-4
        left, far, session = self.stalled(lab)
        lab.gistds["left"].signal(signal.SIGTERM)
        self.goes_on(lab, far, session)
        self.assertEqual(lab.gistds["left"].wait(), 0)


class OverTls(unittest.TestCase):
    @in_diamond
    def test_tls_1_2_and_1_3_both_authenticated(self, lab):
        # RFC5971: 5.7.3-1, 5.7.3-2, 8.1-1
        authority = Authority(lab["left"], "authority")
        options = {name: authority.options(f"{name}.example.net") for name in ("left", "far")}
        lab.gistds.start("far", options=[*options["far"], "--peer", "allow left.example.net"])
        for version in ("TLSv1.3", "TLSv1.2"):
            with case(version):
                lab.gistds.start("left", options=[*options["left"], "--peer", "allow *.example.net"],
                                 env={"OPENSSL_CONF": openssl_at_most(lab["left"].folder, version)})
                for came in exchange(self, lab.gistds, RELIABLE | SECURE):
                    self.assertTrue(came & SECURE)
                lab.gistds["left"].wait_for_line(f"far.example.net: association over {version}")
                lab.gistds["far"].wait_for_line(f"left.example.net: association over {version}")
                self.assertEqual(len(connections(lab["left"], 271)), 1)
                lab.gistds["left"].stop()

    def refused(self, lab, left_options, far_options, line, where):
        """What must be secure is not sent; nothing arrives; plain messages do."""
        lab.gistds.start("left", options=left_options)
        lab.gistds.start("far", options=far_options)
        left, far = lab.gistds.application("left"), lab.gistds.application("far")
        secret, plain = new_session(), new_session()
        handle = left.send(secret, mri(*FLOWS[4]), b"secret..", RELIABLE | SECURE)
        wait(lambda: left.status_of(handle) and line in lab.gistds[where].output(),
             lambda: f"{line!r} at {where}, which wrote:\n{lab.gistds[where].tail()}\n{left.told}", left, far)
        left.send(plain, mri(*FLOWS[4]), b"plain...")
        wait(lambda: far.data(plain), "the other arrives", left, far)
        self.assertEqual(far.data(secret), [])
        return left.status_of(handle).error

    @in_diamond
    def test_a_peer_of_another_authority(self, lab):
        # RFC5971: 5.7.3.1-4
        ours, theirs = (Authority(lab["left"], name) for name in ("ours", "theirs"))
        error = self.refused(lab, ours.options("left.example.net"), theirs.options("far.example.net", trusted=ours),
                             "certificate verify failed", "left")
        self.assertEqual(error, NO_ASSOCIATION)

    @in_diamond
    def test_a_revoked_peer(self, lab):
        authority = Authority(lab["left"], "authority")
        names = ("left.example.net", "far.example.net")
        left, far = map(authority.options, names)
        authority.revoke("far.example.net")
        error = self.refused(lab, left, far, "certificate revoked", "left")
        self.assertEqual(error, NO_ASSOCIATION)
        lab.gistds["left"].stop(), lab.gistds["far"].stop()
        # Another of the same authority is none.
        lab.gistds.start("left", options=left)
        lab.gistds.start("far", options=authority.options("far2.example.net"))
        for came in exchange(self, lab.gistds, RELIABLE | SECURE):
            self.assertTrue(came & SECURE)

    @in_diamond
    def test_a_responder_that_is_not_on_the_list(self, lab):
        authority = Authority(lab["left"], "authority")
        error = self.refused(lab, [*authority.options("left.example.net"), "--peer", "allow elsewhere.example.net"],
                             authority.options("far.example.net"), "not in the authorised peer database", "left")
        self.assertEqual(error, NO_ASSOCIATION)

    @in_diamond
    def test_a_querier_of_another_authority_or_not_on_the_list(self, lab):
        """In TLS 1.3 the querier believes itself connected before it is refused; it gives up after three."""
        ours, theirs = (Authority(lab["left"], name) for name in ("ours", "theirs"))
        far = ours.options("far.example.net")
        for number, (left, line) in enumerate((
                (theirs.options("left.example.net", trusted=ours), "certificate verify failed"),
                (ours.options("left.example.net"), "not in the authorised peer database"))):
            with case(line):
                self.refused(lab, left, [*far, "--peer", "deny left.example.net", "--peer", "allow *"], line, "far")
                lab.gistds["left"].stop(), lab.gistds["far"].stop()

    @in_diamond
    def test_strangers_without_a_certificate_or_with_an_old_tls(self, lab):
        # RFC5971: 5.7.3-2, 5.7.3-4
        authority = Authority(lab["left"], "authority")
        lab.gistds.start("far", options=authority.options("far.example.net"))
        for options, line in ((["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "association ended: unsupported protocol"),
                              (["-tls1_2"], "association ended: peer did not return a certificate")):
            with case(options):
                lab["left"].run("openssl", "s_client", "-connect", f"{FAR}:271", *options, check=False)
                lab.gistds["far"].wait_for_line(line)

    @in_diamond
    def test_tls_only(self, lab):
        """Everything over associations is secure, and no port takes plain ones."""
        authority = Authority(lab["left"], "authority")
        for name in ("left", "far"):
            lab.gistds.start(name, options=[*authority.options(f"{name}.example.net"), "--tls-only"])
        for came in exchange(self, lab.gistds, RELIABLE):
            self.assertTrue(came & SECURE)
        self.assertNotEqual(lab["left"].run("bash", "-c", f"</dev/tcp/{FAR}/270", check=False).returncode, 0)


if __name__ == "__main__":
    main()
