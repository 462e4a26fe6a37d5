#!/usr/bin/python3
"""From `netserv setup --toward USER` to the response stack, over three NetServ nodes with plain routers between them: the
whole command, from its start to its end, each time in a new session, so with all of GIST's handshakes.

    cached    the nodes have compiled the module before, and install it anew
    refresh   they have it running, and take the new message's headers

Writes Google Benchmark's JSON: path_setup_bench.py --benchmark_out=FILE. Needs root and what the lab needs.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))

from netserv_lab import kernel  # noqa: E402
from netserv_lab.waiting import expect, until  # noqa: E402
from rig import script  # noqa: E402

NETMONITOR = "NetServ.apps.NetMonitor_1.0.0"
WARM_UP, ROUNDS = 5, 100


def rows_of(name, seconds):
    ordered = sorted(seconds)
    return [script.row(f"path_setup/{name}/{label}", value, iterations=len(ordered))
            for label, value in (("p50", ordered[len(ordered) // 2]), ("p99", ordered[len(ordered) * 99 // 100]))]


class Setups:
    def __init__(self, lab):
        self.lab = lab
        self.publisher = lab.publisher
        self.user = lab["user"].address()
        self.argv = [str(word) for word in (
            lab.build.program("netserv"), "setup", NETMONITOR, "--no-wait", "--json", "--toward", self.user, "--url",
            self.publisher.url("netmonitor.wasm"), "--module-file", self.publisher.files / "netmonitor.wasm",
            "--filter-proto", "udp", "--filter-port", 5060, "--filter-dst", lab["server"].address(),
            *self.publisher.identity(), "--nslp-socket", self.publisher.host.signalling.socket)]

    def timed(self):
        """One SETUP; the seconds that it took."""
        with kernel.network_of(self.publisher.host.fd):
            start = time.monotonic()
            done = subprocess.run(self.argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            took = time.monotonic() - start
        answer = json.loads(done.stdout.splitlines()[-1])
        names = [n["node"] for n in answer["nodes"]]
        expect(names == list(self.lab.nodes) and done.returncode == 0, f"every node takes the SETUP: {answer}")
        return took

    def remove(self):
        self.publisher.toward(self.user, "remove", NETMONITOR, check=True)
        until(lambda: not any(node.modules() for node in self.lab.nodes.values()), "it is removed")


def measure(lab):
    lab.start()
    lab.publisher.serve("netmonitor")
    setups = Setups(lab)

    def active():
        return all(node.state_of(NETMONITOR) == "ACTIVE" for node in lab.nodes.values())

    cached = []
    for _ in range(WARM_UP + ROUNDS):
        cached.append(setups.timed())
        until(active, "it is ACTIVE everywhere")
        setups.remove()
    setups.timed()
    until(active, "it is ACTIVE everywhere")
    refresh = [setups.timed() for _ in range(WARM_UP + ROUNDS)]
    return rows_of("cached", cached[WARM_UP:]) + rows_of("refresh", refresh[WARM_UP:])


if __name__ == "__main__":
    sys.exit(script.main([("sites", {}, measure)]))
