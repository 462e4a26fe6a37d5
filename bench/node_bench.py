#!/usr/bin/python3
"""A whole node in the lab: the longest gap in traffic when its container is killed. (Rates: figure11.py.)

Writes Google Benchmark's JSON: node_bench.py --benchmark_out=FILE. Needs root and what the lab needs.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))

from netserv_lab import load, supervise, topology  # noqa: E402
from netserv_lab.build import Build  # noqa: E402
from netserv_lab.lab import Lab  # noqa: E402
from netserv_lab.load import Sink, Source  # noqa: E402
from netserv_lab.waiting import until  # noqa: E402

KEEPALIVE, PORT = "NetServ.apps.KeepAlive_1.0.0", load.PORT


def row(name, seconds=0.0, **counters):
    return {"name": name, "run_name": name, "run_type": "iteration", "iterations": 1, "real_time": seconds * 1e3,
            "cpu_time": seconds * 1e3, "time_unit": "ms", **counters}


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
    return [row("container/killed_under_20_kpps", gap / 1e3)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--benchmark_out", required=True)
    parser.add_argument("--benchmark_out_format")
    out = Path(parser.parse_args().benchmark_out)

    def play(folder):
        with Lab(topology.find("edge"), folder, Build.find(), plane="netfilter") as lab:
            try:
                rows = measure(lab)
            except BaseException:
                lab.print_logs()
                raise
            out.write_text(json.dumps({"context": {"date": time.strftime("%FT%TZ", time.gmtime())}, "benchmarks": rows}))
        return 0

    return supervise.supervised(play)


if __name__ == "__main__":
    sys.exit(main())
