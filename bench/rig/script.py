"""The frame of a bench script that needs a lab: its options, a lab for each measurement, its rows in Google Benchmark's JSON."""

import argparse
import json
import time
from pathlib import Path

from netserv_lab import supervise, topology
from netserv_lab.build import Build
from netserv_lab.lab import Lab


def row(name, seconds, unit="ms", cpu_seconds=0.0, iterations=1, **counters):
    scale = {"ms": 1e3, "ns": 1e9}[unit]
    return {"name": name, "run_name": name, "run_type": "iteration", "iterations": iterations, "real_time": seconds * scale,
            "cpu_time": cpu_seconds * scale, "time_unit": unit, **counters}


def run_ns(*pids):
    """CPU time of all threads of these processes, as the scheduler counts it."""
    return sum(int((task / "schedstat").read_text().split()[0]) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir())


def main(measurements):
    """The script's exit status. `measurements`: (topology, options of the lab, function of the lab that returns rows); each
    has a lab of its own, in processes of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--benchmark_out", required=True)
    parser.add_argument("--benchmark_out_format")
    out = Path(parser.parse_args().benchmark_out).resolve()
    build, kept, rows = Build.find(), out.with_suffix(".rows"), []
    for name, options, measure in measurements:
        def play(folder):
            with Lab(topology.find(name), folder, build, **options) as lab:
                try:
                    kept.write_text(json.dumps(measure(lab)))
                except BaseException:
                    lab.print_logs()
                    raise
            return 0

        if supervise.supervised_in_child(play) != 0:
            return 1
        rows += json.loads(kept.read_text())
        kept.unlink()
    context = {"date": time.strftime("%FT%TZ", time.gmtime())}
    out.write_text(json.dumps({"context": context, "benchmarks": rows}, indent=1))
    return 0
