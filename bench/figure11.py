#!/usr/bin/python3
"""The paper's Figure 11 again: forwarding rates of the router in six configurations, for each plane.

    1  plain forwarding                       4  + runtime (a module that does nothing)
    2  + five netfilter rules: the base line  5  NetMonitor, in the path (5) and as an observer (5o)
    3  forwarder and container, no runtime    6  KeepAlive, answering switched off as in the paper

Prints a table, writes BUILD/bench/figure11.json and figure11.svg. docs/measuring.md says what is measured and how.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE)]

from netserv_lab import supervise, topology  # noqa: E402
from netserv_lab.build import Build  # noqa: E402
from netserv_lab.lab import Lab  # noqa: E402
from rig import figure, mlffr  # noqa: E402
from rig.kernel_threads import KernelThreads  # noqa: E402
from rig.testbed import (FORWARDER_PRIORITY, LOAD_CORE, PORT, ROUTER_CORE, Talker, Testbed,  # noqa: E402
                         build_null_module, ordinary, real_time)

MONITOR, KEEPALIVE, NULL = "NetServ.apps.NetMonitor_1.0.0", "NetServ.apps.KeepAlive_1.0.0", "NetServ.bench.Null_1.0.0"
PAPER = {64: {"1": 786, "2": 641, "3": 365, "4": 188, "5": 188},
         340: {"1": 343, "2": 343, "3": 213, "4": 117, "5": 111, "6": 71}}
SIP = HERE / "figure11.sip"
GUESS = {"kernel": 1_000_000, "xdp": 600_000, "netfilter": 200_000}
# Ratios to configuration 2, and for the netfilter plane to the bare queue program.
TARGETS = {("xdp", "3"): 0.8, ("xdp", "4"): 0.8, ("xdp", "5"): 0.8, ("xdp", "5o"): 1.0, ("xdp", "6"): 0.6,
           ("netfilter", "5"): 0.9, ("netfilter", "6"): 0.6}
CEILING = 4_000_000  # of the search, packets a second
OVERLOAD_TRIALS = 3


class Bench:
    def __init__(self, bed, seconds, sizes):
        self.bed = bed
        self.seconds = seconds
        self.sizes = sizes
        self.results = {}  # (plane, configuration, size) -> a dict for each round

    def measure(self, plane, configuration, verdicts=None):
        for size in self.sizes:
            if configuration == "6" and size != 340:
                continue
            self._measure(plane, configuration, size, verdicts)

    def _measure(self, plane, configuration, size, verdicts):
        payload = SIP if size == 340 else None

        def trial(rate, seconds=self.seconds):
            return self.bed.trial(int(rate), seconds, size, verdicts, payload)

        rounds = self.results.setdefault((plane, configuration, size), [])
        family = "kernel" if plane == "none" else plane
        guess = (rounds and rounds[-1]["rate"]) or GUESS[family]
        best = mlffr.search(trial, guess, CEILING)
        rate = best.rate if best else 0.0
        if best is None:
            rounds.append({"rate": 0.0})
            return
        half = trial(rate / 2)
        # Under overload copies for observers are the first that go.
        def forwarded(t):
            return t.arrival_rate if configuration == "5o" else t.rate

        double = sorted((trial(2 * rate) for _ in range(OVERLOAD_TRIALS)), key=forwarded)[OVERLOAD_TRIALS // 2]
        overload = forwarded(double)
        rounds.append({"rate": rate, "bypassed": best.bypassed, "overload": overload, "overload_offered": double.offered,
                       "overload_bypassed": double.bypassed, "p50_us": half.p50_us, "p99_us": half.p99_us})
        print(f"  {plane:9} {configuration:5} {size:4} B  {rate / 1e3:8.1f} kpps  at twice that {overload / 1e3:8.1f}"
              f"  half load {half.p50_us:.0f}/{half.p99_us:.0f} us", flush=True)

    # The configurations.

    def kernel(self, limit):
        self.measure("none", "1")
        with self.bed.rules():
            self.measure("none", "2")
        if limit:
            with self.bed.xdp_route():
                self.measure("none", "limit")

    def base_line(self, plane):
        """Measured more than once a round, next to what is held against it: the host is another one minutes later."""
        if plane == "netfilter":
            self.bare_queue()
        else:
            self.measure("none", "2")

    def bare_queue(self):
        """Filled as the forwarder's queue is: by a rule of PREROUTING for forwarded traffic only."""
        bed = self.bed
        rule = ("PREROUTING", "-p", "udp", "--dport", PORT, "-m", "addrtype", "!", "--dst-type", "LOCAL,MULTICAST,BROADCAST",
                "-j", "NFQUEUE", "--queue-num", 77, "--queue-bypass")
        bed.router.run("iptables", "-t", "mangle", "-A", *rule)
        talker = Talker(bed.router, ROUTER_CORE, bed.build.program("bare_queue"), 77)
        real_time(talker.pid, FORWARDER_PRIORITY)
        try:
            self.measure("netfilter", "bare", lambda: talker.ask()["accepted"])
        finally:
            talker.close()
            bed.router.run("iptables", "-t", "mangle", "-D", *rule)

    def plane(self, plane, wanted, options=()):
        bed = self.bed
        busy = "--busy-poll" in options
        with bed.rules(), bed.busy_polled() if busy else contextlib.nullcontext():
            if "3" in wanted:
                with bed.bare_container(plane, *options) as verdicts:
                    self.measure(plane, "3", verdicts)
            if not busy:  # interrupts are deferred then: not the base line
                self.base_line(plane)
            rest = [("5", MONITOR, "netmonitor.wasm", ("netserv.mode=path",)), ("6", KEEPALIVE, "keepalive.wasm", ("swap=off",)),
                    ("4", NULL, "null.wasm", ()), ("5o", MONITOR, "netmonitor.wasm", ("netserv.mode=observe", "netserv.snaplen=64"))]
            for configuration, module, file, properties in rest:
                if configuration == "4" and not busy:
                    self.base_line(plane)
                if configuration not in wanted:
                    continue
                with bed.node(plane, *options) as node:
                    verdicts = bed.deploy(node, module, file, properties=properties)
                    if configuration == "5o":
                        self.observer(plane, node)
                    else:
                        self.measure(plane, configuration, verdicts)
                    if configuration == "6" and not any(m["counters"].get("notify") for m in node.modules()):
                        raise RuntimeError("KeepAlive found no keep-alive in what it was given")

    def observer(self, plane, node):
        """A packet counts if it arrived and the module had its copy."""
        # They are not in the packets' way, so they shall not keep the receive work from the core.
        for pid in (node.forwarder.pid, *node.container_processes()):
            ordinary(pid)
        self.measure(plane, "5o", lambda: self.bed.seen_by_modules(node))


def median(rounds, key):
    values = [r[key] for r in rounds if key in r]
    return statistics.median(values) if values else 0.0


def rows_of(bench, judged):
    """One row a number: name, value, unit, the base line it is compared with, their ratio, the least ratio wanted (if judged)."""
    rows = []
    for (plane, configuration, size), rounds in sorted(bench.results.items(), key=lambda i: (i[0][2], i[0][0], i[0][1])):
        base = ("netfilter", "bare", size) if plane == "netfilter" else ("none", "2", size)
        name = f"{size}/{plane}/{configuration}"
        row = {"name": name, "value": median(rounds, "rate"), "unit": "packets_per_second",
               "rounds": [r["rate"] for r in rounds],
               "bypassed": median(rounds, "bypassed"), "overload": median(rounds, "overload"),
               "overload_offered": median(rounds, "overload_offered"), "overload_bypassed": median(rounds, "overload_bypassed"),
               "p50_us": median(rounds, "p50_us"), "p99_us": median(rounds, "p99_us"),
               "paper_kpps": PAPER[size].get(configuration.rstrip("o"))}
        if base in bench.results and (base_rate := median(bench.results[base], "rate")):
            row |= {"baseline": f"{size}/{base[0]}/{base[1]}", "ratio": row["value"] / base_rate}
        if judged and (plane, configuration) in TARGETS and (size == 64 or configuration == "6"):
            row["target"] = TARGETS[plane, configuration]
        rows.append(row)
        if judged and plane == "xdp" and row["value"]:
            rows.append({"name": name + "/overload", "value": row["overload"], "unit": "packets_per_second", "baseline": name,
                         "ratio": row["overload"] / row["value"], "target": 0.8})
    return rows


def generator_row(two):
    """The generator must not be the limit: what it offered when asked for twice configuration 2's rate."""
    return {"name": two["name"].split("/")[0] + "/generator", "value": two["overload_offered"], "unit": "packets_per_second",
            "baseline": two["name"], "ratio": two["overload_offered"] / two["value"], "target": 1.5}


def run(folder, options, threads):
    os.sched_setaffinity(0, {LOAD_CORE})
    with Lab(topology.load(HERE / "figure11.toml"), folder, Build.find()) as lab:
        try:
            bed = Testbed(lab, threads)
            bed.container_core = LOAD_CORE if options.own_core else ROUTER_CORE
            if options.quick:
                bed.calm_attempts = 1
            bench = Bench(bed, options.seconds, [64, 340] if 340 in options.sizes and 64 in options.sizes else options.sizes)
            lab.publisher.serve("netmonitor", "keepalive")
            lab.publisher.put("null.wasm", build_null_module(lab.build, folder))
            for number in range(options.rounds):
                print(f"round {number + 1} of {options.rounds}", flush=True)
                bench.kernel(limit="xdp" in options.planes)
                for plane in options.planes:
                    busy = plane == "xdp" and options.busy_poll
                    bench.plane(plane, options.configurations, ("--busy-poll",) if busy else ())
            rows = rows_of(bench, judged=not options.own_core)
            rows = [generator_row(r) for r in rows if r["name"].endswith("/none/2") and r["value"]] + rows
        except BaseException:
            lab.print_logs()
            raise
        options.out.parent.mkdir(exist_ok=True)
        options.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(figure.table(rows))
    print(bed.disturbance())
    figure.plot(rows, options.out.with_suffix(".svg"))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON rows; the plot lies beside it (default BUILD/bench/figure11.json)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.2, help="length of one trial")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 340], choices=[64, 340])
    parser.add_argument("--planes", nargs="+", default=["xdp", "netfilter"], choices=["xdp", "netfilter"])
    parser.add_argument("--configurations", nargs="+", default=["3", "4", "5", "5o", "6"])
    parser.add_argument("--quick", action="store_true", help="one short round, disturbed or not, for a first look")
    parser.add_argument("--own-core", action="store_true", help="the container gets the generator's core")
    parser.add_argument("--busy-poll", action="store_true", help="xdp: the forwarder's polls drive the interfaces, where the kernel lets them")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.15
    options.out = (options.out or Build.find().folder / "bench" / "figure11.json").resolve()
    threads = KernelThreads()
    return supervise.supervised(lambda folder: run(folder, options, threads))


if __name__ == "__main__":
    sys.exit(main())
