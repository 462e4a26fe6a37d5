"""What the tests of gistd share: a lab of six hosts, gistds on them, gist-ping, a packet capture, and applications at
gistd's socket that speak the format of docs/gist-api.md."""

import contextlib
import functools
import json
import os
import select
import socket
import struct
import unittest
from dataclasses import dataclass
from pathlib import Path

import support
from netserv_lab import kernel, probe
from netserv_lab.waiting import PATIENCE, expect, until

DIAMOND = str(Path(__file__).resolve().parent / "gistd_diamond.toml")
PATH = ("near", "mid", "far")
NSLP = 32704  # private use
NLI = 2  # the object

RELIABLE, SECURE, IN_QUERY = 0x01, 0x02, 0x08
EXPLICITLY_ROUTED, VALIDATED = 0x10, 0x20  # on reception
SENT, BAD_PAYLOAD, NO_ENCAPSULATION, NO_NEXT_NODE, NO_ASSOCIATION, OVERLOAD, UNKNOWN_SII = 0, 3, 5, 6, 8, 10, 11
LAST_NODE, ROUTING_STATUS, ROUTE_DELETION, NODE_AUTHORISATION = 0, 1, 2, 3
BAD, TENTATIVE, GOOD = 0, 1, 2
# A gistd's options where Queries are counted: none is sent again because the answer was slow.
ASKS_ONCE = ("--t1-ms", "20000")


def in_diamond(test):
    """Decorator: test(self, lab), with a Gistds as lab.gistds; all of it ends with the test."""

    @functools.wraps(test)
    def with_gistds(self, lab):
        with Gistds(lab) as lab.gistds:
            test(self, lab)

    return support.in_lab(DIAMOND, start=False)(with_gistds)


class Gistds:
    """gistd by the name of its host."""

    def __init__(self, lab):
        self.lab = lab
        self.running = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.running.values():
            each.stop()

    def __getitem__(self, name):
        return self.running[name]

    def start(self, *names, options=(), **more):
        for name in names:
            host = self.lab[name]
            self.running[name] = host.start("gistd", self.lab.build.program("gistd"), "--run-dir", host.folder, "--name", name,
                                            "--log-level", "debug", *options, **more)
        for name in names:
            self.running[name].wait_for_line("listening on")

    def ping(self, target, *options, of="left", count=1):
        """gist-ping's JSON answer."""
        host = self.lab[of]
        done = host.run(self.lab.build.program("gist-ping"), target, "--socket", host.folder / "gistd.sock", "--json",
                        "--count", count, "--interval-ms", 1, "--timeout-ms", 20000, *options, check=False)
        expect(done.stdout, done.stderr)
        return json.loads(done.stdout)

    def nodes(self, target, *options, **more):
        """The names on the path, in its order."""
        answer = self.ping(target, *options, **more)
        expect(answer["complete"], f"the end of the path is seen: {answer}")
        return [hop["name"] for hop in answer["path"]]

    def application(self, name, nslp=NSLP, **more):
        return Application(self.lab[name].folder / "gistd.sock", nslp, **more)


def gistd_processes(gistd):
    """Pids of a gistd: the keeper, and its child that speaks (and the queue's watchdog)."""
    return [gistd.pid, *map(int, Path(f"/proc/{gistd.pid}/task/{gistd.pid}/children").read_text().split())]


def mri(source, destination, upstream=False):
    """Path-coupled, for everything between two addresses."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    ends = [socket.inet_pton(family, a) for a in (source, destination)]
    flags = (0x6000 if ":" in destination else 0x4000) | (0x20 if upstream else 0)
    bits = 8 * len(ends[0])
    return struct.pack("!BBH", 0, 0, flags) + ends[0] + ends[1] + bytes([bits, bits, 0, 0])


def loose_end(source, destination, upstream=False):
    """For finding nodes in the direction of an address (RFC 5971, 5.8.2)."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    flags = (0x6000 if ":" in destination else 0x4000) | (0x800 if upstream else 0)
    return struct.pack("!BBH", 1, 0, flags) + b"".join(socket.inet_pton(family, a) for a in (source, destination))


def is_upstream(flow):
    return bool(flow[3] & 0x20)


@dataclass
class Received:
    session: bytes
    flow: bytes
    sii: int
    attributes: int
    data: bytes
    query: bool


@dataclass
class Told:
    """A MessageStatus."""
    handle: int
    attributes: int
    error: int
    gist_code: int


@dataclass
class Notified:
    session: bytes
    type: int
    status: int
    sii: int


class Application:
    """A signalling application. Nothing happens by itself: wait() reads, and answers Queries."""

    def __init__(self, path, nslp=NSLP, peers=True):
        """`peers`: becomes the peer of who asks."""
        self.nslp = nslp
        self.peers = peers
        self.received, self.told, self.notified = [], [], []
        self.last_handle = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self._tell(1, struct.pack("!H", nslp) + b"\x04test")
        reply = self.socket.recv(65536)
        expect(reply[1] == 2 and reply[4] == 1, f"gistd takes the application: {reply}")
        self.socket.setblocking(False)

    def _tell(self, kind, body):
        _, has_room, _ = select.select([], [self.socket], [], PATIENCE)
        expect(has_room, "gistd takes what it is told")
        self.socket.send(bytes([1, kind, 0, 0]) + body)

    def send(self, session, flow, data, attributes=IN_QUERY, timeout_ms=None, sii=0):
        self.last_handle += 1
        timeout = b"\x00" if timeout_ms is None else struct.pack("!BQ", 1, timeout_ms)
        body = (struct.pack("!QH", self.last_handle, self.nslp) + session + struct.pack("!H", len(flow)) + flow +
                struct.pack("!QB", sii, attributes) + timeout + b"\x00\x00" + struct.pack("!I", len(data)) + data)
        self._tell(3, body)
        return self.last_handle

    def needs_no_longer(self, session, flow):
        """SetStateLifetime of zero."""
        self._tell(5, struct.pack("!HH", self.nslp, len(flow)) + flow + b"\x01" + session + bytes(8))

    def read(self):
        with contextlib.suppress(BlockingIOError):
            while packet := self.socket.recv(1 << 17):
                {7: self._received, 8: self._told, 9: self._notified}[packet[1]](packet[4:])

    def _received(self, b):
        session, length = b[2:18], struct.unpack("!H", b[18:20])[0]
        flow, b = b[20:20 + length], b[20 + length:]
        query, b = b[0] == 1, b[1:]
        if query:
            self._tell(4, b[:8] + bytes([self.peers, 0]))
            b = b[8:]
        sii, attributes, _ttl, _distance, _hops, _interface, size = struct.unpack("!QBBBBII", b[:20])
        self.received.append(Received(session, flow, sii, attributes, b[20:20 + size], query))

    def _told(self, b):
        handle, _nslp, attributes, error, code, _subcode = struct.unpack("!QHBBHB", b)
        self.told.append(Told(handle, attributes, error, code))

    def _notified(self, b):
        session, length = b[2:18], struct.unpack("!H", b[18:20])[0]
        self.notified.append(Notified(session, *struct.unpack("!BBQ", b[20 + length:])))

    def status_of(self, handle):
        return next((t for t in self.told if t.handle == handle), None)

    def data(self, session):
        """What came for a session."""
        return [r.data for r in self.received if r.session == session and r.data]

    def close(self):
        self.socket.close()


def wait(condition, what, *applications):
    """Lets the applications work until condition() is true, and returns that."""

    def look():
        for each in applications:
            each.read()
        return condition()

    return until(look, what)


@contextlib.contextmanager
def case(what):
    """unittest's subTest would not fail a test that runs in a lab's process."""
    try:
        yield
    except BaseException as e:
        e.add_note(f"in the case {what!r}")
        raise


def new_session():
    return os.urandom(16)


class Capture:
    """Every IP packet on an interface from now on, both ways, as IP packets."""

    def __init__(self, host, interface):
        with kernel.network_of(host.fd):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(3))
            self.socket.bind((interface, 3))
        self.packets = []

    def read(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = self.socket.recv(65536)
                if packet[0] >> 4 in (4, 6):
                    self.packets.append(packet)
        return self.packets

    def gist(self, kind=0, nslp=None):
        """Packets over UDP that carry a GIST message of one type (0: Query) and NSLP."""
        return [p for p in self.read() if (m := gist_message(p)) and m[10] & 0x7f == kind and
                (nslp is None or struct.unpack("!H", m[8:10])[0] == nslp)]


def hello_over_tcp(packet, port=270):
    """Whether an IPv4 packet takes an MA-Hello to a port."""
    if packet[0] >> 4 != 4 or packet[9] != 6:
        return False
    tcp = packet[(packet[0] & 15) * 4:struct.unpack("!H", packet[2:4])[0]]
    data = tcp[(tcp[12] >> 4) * 4:]
    return tcp[2:4] == struct.pack("!H", port) and len(data) >= 8 and data[0] == 1 and data[6] & 0x7f == 5


def gist_message(packet):
    """The UDP payload of an IP packet if that is GIST's, by port and magic number."""
    if packet[0] >> 4 == 4:
        start, protocol = (packet[0] & 15) * 4, packet[9]
    else:
        start, protocol = 40, packet[6]
        if protocol == 0:
            start, protocol = 40 + 8 * (packet[41] + 1), packet[40]
    if protocol != 17 or packet[start + 2:start + 4] != b"\x01\x0e" or packet[start + 8:start + 12] != b"\x4e\x04\xbd\xa5":
        return None
    return packet[start + 8:]


def objects(message):
    """Values of a message's objects, by type."""
    found, at = {}, 12
    while at < len(message):
        kind, words = struct.unpack("!HH", message[at:at + 4])
        found[kind & 0xfff] = message[at + 4:at + 4 + 4 * (words & 0xfff)]
        at += 4 + 4 * (words & 0xfff)
    return found


def main():
    probe.skip_unless((*probe.NETWORK, "NFQUEUE"))
    unittest.main(verbosity=2)
