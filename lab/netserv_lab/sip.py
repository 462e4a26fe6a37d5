"""SIP traffic by sipp: a server that answers keep-alives, clients that send them at a steady rate, both counted."""

import csv
import signal
from pathlib import Path

from .waiting import until

SCENARIOS = Path(__file__).resolve().parent.parent / "sip"
PORT = 5060


class _Sipp:
    def __init__(self, host, name, *arguments):
        self.host = host
        self.folder = host.folder / name
        self.folder.mkdir()
        self._statistics = self.folder / "statistics.csv"
        self.process = host.start(name, "sipp", *arguments, "-nostdin", "-trace_stat", "-stf", self._statistics, "-fd", 1,
                                  "-trace_err", "-error_file", self.folder / "errors.log", cwd=self.folder)

    def count(self, column):
        """A cumulative counter by sipp's name for it, as of its last report (one a second)."""
        if not self._statistics.exists():
            return 0
        with open(self._statistics, newline="") as f:
            rows = [row for row in csv.DictReader(f, delimiter=";") if row.get(column)]
        return int(rows[-1][column]) if rows else 0

    @property
    def successful(self):
        return self.count("SuccessfulCall(C)")

    @property
    def failed(self):
        return self.count("FailedCall(C)")


class Server(_Sipp):
    """Answers OPTIONS and NOTIFY on UDP 5060."""

    def __init__(self, host, name="sip-server", version=4):
        super().__init__(host, name, "-sf", SCENARIOS / "uas.xml", "-i", host.address(version), "-p", PORT)
        hexadecimal = f":{PORT:04X} "
        table = "udp6" if version == 6 else "udp"
        until(lambda: hexadecimal in host.run("cat", f"/proc/net/{table}").stdout, f"{name} listens")

    @property
    def received(self):
        return self.count("IncomingCall(C)")


class Client(_Sipp):
    """Sends keep-alives until finish(). Each is a call to sipp: successful if a 200 comes back."""

    def __init__(self, host, server, kind="options", rate=20, name="sip-client", port=5061, version=4, calls=None):
        target = server.address(version)
        target = f"[{target}]" if version == 6 else target
        local = host.address(version)
        self.process = None
        super().__init__(host, name, "-sf", SCENARIOS / f"uac_{kind}.xml", "-i", f"[{local}]" if version == 6 else local,
                         "-p", port, "-r", rate, *(["-m", calls] if calls else []), f"{target}:{PORT}")

    def finish(self, patience=30):
        """Lets the calls under way end, and sipp with them; returns sipp's exit status: 0 if every call succeeded."""
        if self.process.running():
            self.process.signal(signal.SIGUSR1)
        return self.process.wait(patience)
