#!/usr/bin/python3
"""A whole node in the lab: the rate of the netfilter path through a container against a bare queue program on the same
path in the same run, and the gap in traffic when a container is killed.

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

from netserv_lab import supervise, topology  # noqa: E402
from netserv_lab.build import Build  # noqa: E402
from netserv_lab.lab import Lab  # noqa: E402
from netserv_lab.load import Sink, Source  # noqa: E402
from netserv_lab.waiting import until  # noqa: E402

KEEPALIVE = "NetServ.apps.KeepAlive_1.0.0"
QUEUE = 77
PORT = 9000
OFFERED = (40_000, 80_000, 120_000, 160_000)  # packets a second, in turn: the best counts
SECONDS = 3


def row(name, seconds=0.0, **counters):
    return {"name": name, "run_name": name, "run_type": "iteration", "iterations": 1, "real_time": seconds * 1e3,
            "cpu_time": seconds * 1e3, "time_unit": "ms", **counters}


def offer(lab, rate):
    """SIP-sized packets that are no keep-alives, from client to server; returns how many were sent in how long."""
    client = lab["client"]
    done = client.run(lab.build.program("netserv-load"), "send", "--interface", "eth0", "--to-mac", "02:00:00:00:00:02",
                      "--from-mac", "02:00:00:00:00:01", "--source", client.address(), "--destination", lab["server"].address(),
                      "--port", PORT, "--rate", rate, "--seconds", SECONDS)
    return json.loads(done.stdout.splitlines()[-1])


def best_rate(lab, handled):
    """The most packets a second that handled() grew by, over the rates offered."""
    best = 0.0
    for rate in OFFERED:
        before = handled()
        offered = offer(lab, rate)
        best = max(best, (handled() - before) / offered["seconds"])
    return best


def bare_queue(lab):
    rule = ("-t", "mangle", "PREROUTING", "-p", "udp", "--dport", PORT, "-j", "NFQUEUE", "--queue-num", QUEUE, "--queue-bypass")
    edge = lab["edge"]
    edge.run("iptables", rule[0], rule[1], "-A", *rule[2:])
    best = 0.0
    for rate in OFFERED:
        process = edge.start("bare-queue", lab.build.program("bare_queue"), QUEUE)
        process.wait_for_line("ready")
        offered = offer(lab, rate)
        process.stop()
        best = max(best, json.loads(process.output().splitlines()[-1])["accepted"] / offered["seconds"])
    edge.run("iptables", rule[0], rule[1], "-D", *rule[2:])
    return best


def processed(node):
    return sum(n for name, n in node.counters().items() if name.startswith("processed_"))


def measure(lab):
    node = lab.node.start()
    rows = [row("nfqueue/bare", rate=bare_queue(lab))]
    lab.publisher.serve("keepalive")
    filters = {"filter_port": PORT, "filter_proto": "udp"}
    lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **filters)
    rows.append(row("nfqueue/keepalive", rate=best_rate(lab, lambda: processed(node))))

    sink = Sink(lab["server"], lab.build, port=PORT)
    source = Source(lab["client"], lab.build, sink, rate=20000)
    for _ in range(3):
        sink.wait_for_more(2000)
        os.kill(node.container_processes()[0], signal.SIGKILL)
        until(lambda: node.container_processes(), "the container is back")
        node.wait_for_state(KEEPALIVE, "ACTIVE")
    rows.append(row("container/killed_under_20_kpps", sink.counts()["longest_gap_ms"] / 1e3))
    source.stop()
    return rows


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
