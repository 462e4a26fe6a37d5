"""UDP load between two hosts, counted at both ends by sequence number (lab/udp_load.cc)."""

import json
import signal

from .waiting import until

PORT = 9000


class Sink:
    """Counts what arrives at host:port."""

    def __init__(self, host, build, port=PORT, version=4, echo=False):
        self.address = host.address(version)
        self.port = port
        self._process = host.start(f"sink-{port}-{version}", build.program("netserv-udp-load"), "echo" if echo else "count",
                                   self.address, port)
        self._process.wait_for_line("ready")

    def counts(self):
        """datagrams, distinct, duplicates, bytes, longest_gap_ms so far."""
        before = self._process.output().count("\n")
        self._process.signal(signal.SIGUSR1)
        until(lambda: self._process.output().count("\n") > before, "the sink reports")
        return json.loads(self._process.output().splitlines()[-1])

    @property
    def distinct(self):
        return self.counts()["distinct"]

    def wait_for_more(self, packets, patience=30.0):
        """Waits until that many more datagrams have arrived than had when called."""
        wanted = self.distinct + packets
        until(lambda: self.distinct >= wanted, f"{packets} more datagrams arrive", patience)


class Source:
    """Sends datagrams to a sink at a steady rate until stop()."""

    def __init__(self, host, build, sink, rate=20000, seconds=600, bytes=64, name="source"):
        self._process = host.start(f"{name}-{sink.port}", build.program("netserv-udp-load"), "send", sink.address, sink.port,
                                   rate, seconds, bytes)
        self._process.wait_for_line("ready")

    def stop(self):
        """Ends it; returns how many datagrams it has sent."""
        self._process.stop()
        return json.loads(self._process.output().splitlines()[-1])["sent"]
