"""The host that NetMonitor reports to: receives its datagrams and keeps the newest count of each row."""

import json
from pathlib import Path

LISTENER = Path(__file__).resolve().parent / "listener.py"
PORT = 7777


class Visualizer:
    def __init__(self, host, version=4):
        self.address = host.address(version)
        self._process = host.start("visualizer", "/usr/bin/python3", LISTENER, self.address, PORT)
        self._process.wait_for_line("ready")

    def reports(self):
        return [json.loads(line) for line in self._process.output().splitlines() if line.startswith("{")]

    def counts(self):
        """(source, destination, TTL) -> packets, as last reported."""
        newest = {}
        for report in self.reports():
            for source, destination, ttl, packets in report["counts"]:
                newest[source, destination, ttl] = packets
        return newest

    @property
    def properties(self):
        return [f"visualizer_ip={self.address}", f"visualizer_port={PORT}"]
