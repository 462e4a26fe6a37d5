#!/usr/bin/python3
"""A whole node in the lab: the longest gap in traffic when its container is killed. (Rates: figure11.py.)

Writes Google Benchmark's JSON: node_bench.py --benchmark_out=FILE. Needs root and what the lab needs.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))

from netserv_lab import load  # noqa: E402
from netserv_lab.load import Sink, Source  # noqa: E402
from netserv_lab.waiting import until  # noqa: E402
from rig import script  # noqa: E402

KEEPALIVE, PORT = "NetServ.apps.KeepAlive_1.0.0", load.PORT


def measure(lab):
    node = lab.node.start()
    lab.publisher.serve("keepalive")
    lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", filter_port=PORT, filter_proto="udp")

    sink = Sink(lab["server"], lab.build, port=PORT)
    source = Source(lab["client"], lab.build, sink, rate=20000)
    for _ in range(3):
        sink.wait_for_more(2000)
        os.kill(node.container_processes()[0], signal.SIGKILL)
        until(lambda: node.container_processes(), "the container is back")
        node.wait_for_state(KEEPALIVE, "ACTIVE")
    gap = sink.counts()["longest_gap_ms"]
    source.stop()
    return [script.row("container/killed_under_20_kpps", gap / 1e3)]


if __name__ == "__main__":
    sys.exit(script.main([("edge", {"plane": "netfilter"}, measure)]))
