#!/usr/bin/python3
"""Scale, one dimension at a time, on the xdp plane: filters; containers side by side and in a chain; containers resident.

Writes BUILD/bench/scale.json (rows of name, value, unit, baseline, ratio, target) and scale.svg. docs/measuring.md says how
it is measured.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE)]

from netserv_lab import supervise, topology  # noqa: E402
from netserv_lab.build import Build  # noqa: E402
from netserv_lab.lab import Lab  # noqa: E402
from rig import curves, memory, mlffr  # noqa: E402
from rig.kernel_threads import KernelThreads  # noqa: E402
from rig.testbed import LOAD_CORE, PORT, ROUTER_CORE, Testbed, build_null_module  # noqa: E402

MODULE, FILE = "NetServ.bench.Null_1.0.0", "null.wasm"
FILTERS, SIDE_BY_SIDE, CHAIN = (1, 10, 100, 1000), (1, 4, 16), (1, 2, 4)
SIZE, SECONDS, GUESS, CEILING = 64, 0.2, 400_000, 4_000_000
MEMORY_TARGET = 3_000_000  # private bytes a container


class Scale:
    def __init__(self, bed, rounds):
        self.bed = bed
        self.filter_rounds = rounds
        self.rows = []

    def rate(self, verdicts, **more):
        """MLFFR, p50 and p99 at half of it."""
        def trial(rate, seconds=SECONDS):
            return self.bed.trial(int(rate), seconds, SIZE, verdicts, **more)

        best = mlffr.search(trial, GUESS, CEILING)
        value = best.rate if best else 0.0
        half = trial(value / 2 or 1000)
        return value, half.p50_us, half.p99_us

    def add(self, name, base, rounds, target=None):
        value, p50, p99 = (statistics.median(column) for column in zip(*rounds))
        row = {"name": name, "value": value, "unit": "packets_per_second", "p50_us": p50, "p99_us": p99}
        first = next((r for r in self.rows if r["name"] == base), None)
        if first and first["value"]:
            row |= {"baseline": base, "ratio": value / first["value"]}
            if target:
                row["target"] = target
        self.rows.append(row)
        print(f"  {name:20} {value / 1e3:8.1f} kpps  half load {p50:.0f}/{p99:.0f} us", flush=True)

    def filters(self):
        """Of one shape; the packets are spread over all of them. A few percent are asked for, so several rounds."""
        rounds = {count: [] for count in FILTERS}
        for _ in range(self.filter_rounds):
            for count in FILTERS:
                with self.bed.bare_container("xdp", filters=count) as verdicts:
                    rounds[count].append(self.rate(verdicts, ports=count))
        for count in FILTERS:
            self.add(f"filters/{count}", "filters/1", rounds[count], 0.95 if count == 1000 else None)

    def containers(self, kind, counts, publishers):
        """Side by side: each with its own port, the packets spread over them. In a chain: every packet visits all."""
        for count in counts:
            with self.bed.node("xdp") as node:
                for i, publisher in enumerate(publishers[:count]):
                    port = PORT + i if kind == "side_by_side" else PORT
                    verdicts = self.bed.deploy(node, MODULE, FILE, publisher=publisher, port=port,
                                               url=publishers[0].url(FILE))
                self.add(f"{kind}/{count}", f"{kind}/1", [self.rate(verdicts, ports=count if kind == "side_by_side" else 1)])

    def resident(self, publishers):
        """All at once, each with a module that has nothing to do."""
        with self.bed.node("xdp", refresh_ms=1000) as node:
            start = time.monotonic()
            for i, publisher in enumerate(publishers):
                self.bed.deploy(node, MODULE, FILE, publisher=publisher, port=PORT + i, url=publishers[0].url(FILE))
            took = time.monotonic() - start
            groups = memory.containers(node.container_processes())
            daemons = [node.netservd.pid, node.forwarder.pid]
            shares = memory.idle_shares({"containers": groups, "netservd": daemons[:1], "forwarder": daemons[1:]})
            idle = sum(shares.values())
            count = len(publishers)
            private = sum(memory.private_bytes(pid) for pid in groups) / count
            self.rows += [
                {"name": f"resident/{count}/start", "value": took / count, "unit": "seconds_each"},
                {"name": f"resident/{count}/private_memory", "value": private, "unit": "bytes_each",
                 "target": MEMORY_TARGET, "sense": "at most"},
                {"name": f"resident/{count}/idle_cpu", "value": idle, "unit": "cores", "target": 0.005, "sense": "at most"},
            ]
            print(f"  {count} resident: {took:.1f} s to start, {private / 1e6:.2f} MB private each, idle {idle:.2%} of a core ("
                  + ", ".join(f"{name} {share:.2%}" for name, share in shares.items()) + ")")


def run(folder, options, threads):
    os.sched_setaffinity(0, {LOAD_CORE})
    names = {f"p{i}": "publisher" for i in range(max(options.resident, SIDE_BY_SIDE[-1]))}
    with Lab(topology.load(HERE / "figure11.toml"), folder, Build.find(), publishers=names) as lab:
        try:
            bed = Testbed(lab, threads, sink_port=0)
            scale = Scale(bed, options.rounds)
            module = build_null_module(lab.build, folder)
            publishers = list(lab.publishers.values())
            for publisher in publishers:  # one web server for all
                publisher.put(FILE, module)
            publishers[0].serve()
            if "filters" in options.only:
                scale.filters()
            if "side_by_side" in options.only:
                scale.containers("side_by_side", SIDE_BY_SIDE, publishers)
            if "chain" in options.only:
                scale.containers("chain", CHAIN, publishers)
            if "resident" in options.only:
                scale.resident(publishers[:options.resident])
        except BaseException:
            lab.print_logs(10)
            raise
        options.out.parent.mkdir(exist_ok=True)
        options.out.write_text(json.dumps(scale.rows, indent=1) + "\n")
    curves.plot(scale.rows, options.out.with_suffix(".svg"))
    print(bed.disturbance())
    return 0


def main():
    kinds = ["filters", "side_by_side", "chain", "resident"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON rows; the plot lies beside it (default BUILD/bench/scale.json)")
    parser.add_argument("--only", nargs="+", default=kinds, choices=kinds)
    parser.add_argument("--rounds", type=int, default=3, help="of the filters: a few percent are asked for")
    parser.add_argument("--resident", type=int, default=500, help="how many containers")
    options = parser.parse_args()
    options.out = (options.out or Build.find().folder / "bench" / "scale.json").resolve()
    threads = KernelThreads()
    return supervise.supervised(lambda folder: run(folder, options, threads))


if __name__ == "__main__":
    sys.exit(main())
