#!/usr/bin/python3
"""What a node costs that has nothing to do: CPU time of netservd, the forwarder and a container with a module, on both
planes, and with a module that only watches.

Writes Google Benchmark's JSON: idle_bench.py --benchmark_out=FILE. Needs root and what the lab needs.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))

from netserv_lab import supervise, topology  # noqa: E402
from netserv_lab.build import Build  # noqa: E402
from netserv_lab.lab import Lab  # noqa: E402

NETMONITOR = "NetServ.apps.NetMonitor_1.0.0"
SETTLE, SECONDS = 3, 20
# Row, plane, how the module sees packets.
ROWS = (("idle/xdp/path", "xdp", "path"), ("idle/xdp/observe", "xdp", "observe"), ("idle/netfilter/path", "netfilter", "path"))


def run_ns(pid):
    """CPU time of all threads of a process, as the scheduler counts it."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())


def idle(lab, name, mode):
    node = lab.node.start()
    lab.publisher.serve("netmonitor")
    lab.publisher.setup(node, NETMONITOR, "netmonitor.wasm", filter_port=9000, filter_proto="udp",
                        filter_dst=lab["server"].address(), properties=[f"netserv.mode={mode}"])
    (container,) = node.container_processes()
    processes = {"netservd": node.netservd.pid, "forwarder": node.forwarder.pid, "container": container}
    time.sleep(SETTLE)  # the installation's last work
    before = {which: run_ns(pid) for which, pid in processes.items()}
    start = time.monotonic_ns()
    time.sleep(SECONDS)
    elapsed = time.monotonic_ns() - start
    percent = {f"{which}_percent": 100 * (run_ns(pid) - before[which]) / elapsed for which, pid in processes.items()}
    return {"name": name, "run_name": name, "run_type": "iteration", "iterations": 1, "real_time": elapsed / 1e6,
            "cpu_time": sum(percent.values()) * elapsed / 1e8, "time_unit": "ms", "cpu_percent": sum(percent.values()), **percent}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--benchmark_out", required=True)
    parser.add_argument("--benchmark_out_format")
    out = Path(parser.parse_args().benchmark_out).resolve()
    build = Build.find()
    rows = []
    for name, plane, mode in ROWS:
        kept = out.with_suffix(".row")

        def play(folder):
            with Lab(topology.find("edge"), folder, build, plane=plane) as lab:
                kept.write_text(json.dumps(idle(lab, name, mode)))
            return 0

        if supervise.supervised_in_child(play) != 0:
            return 1
        rows.append(json.loads(kept.read_text()))
        kept.unlink()
    out.write_text(json.dumps({"benchmarks": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
