#!/usr/bin/python3
"""Runs the benchmarks, prints one table, and says which targets of bench/targets.toml are missed.

A benchmark is a Google Benchmark program BUILD/bin/NAME_bench, or a script bench/NAME_bench.py that takes
--benchmark_out=FILE and writes the same JSON. Results are kept in BUILD/bench/NAME.json. The scripts of WHOLE_NODE
print their own table, and write rows of {name, value, unit, baseline, ratio, target}.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHOLE_NODE = ("figure11", "scale")
NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
# What Google Benchmark says of every row; the rest are the row's own counters.
COMMON = {"name", "run_name", "run_type", "family_index", "per_family_instance_index", "repetitions", "repetition_index",
          "threads", "iterations", "real_time", "cpu_time", "time_unit", "label", "aggregate_name", "aggregate_unit"}


def programs(build, names):
    found = {p.name: [str(p)] for p in sorted((build / "bin").glob("*_bench"))}
    found |= {p.stem: ["/usr/bin/python3", str(p)] for p in sorted(HERE.glob("*_bench.py"))}
    return {n.removesuffix("_bench"): argv for n, argv in found.items() if not names or n.removesuffix("_bench") in names}


def run(name, argv, out, build):
    print(f"== {name}", flush=True)
    done = subprocess.run([*argv, f"--benchmark_out={out}", "--benchmark_out_format=json"], stdout=subprocess.PIPE,
                          text=True, env={**os.environ, "NETSERV_BUILD_DIR": str(build)})
    if done.returncode != 0:
        print(done.stdout)
        print(f"{name}: ended with status {done.returncode}")
        return None
    rows = json.loads(out.read_text())["benchmarks"]
    for row in rows:
        counters = "  ".join(f"{k}={number(v)}" for k, v in row.items()
                             if k not in COMMON and isinstance(v, (int, float)))
        print(f"  {row['name']:52} {number(nanoseconds(row)):>12} ns  {counters}")
    return rows


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def nanoseconds(row):
    return row["real_time"] * NANOSECONDS[row.get("time_unit", "ns")]


def value_of(rows, name, metric):
    values = [nanoseconds(r) if metric == "ns" else r.get(metric) for r in rows if re.fullmatch(name, r["name"])]
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def run_whole_node(name, build, rounds):
    """Its rows that have a target, judged as lines of the table; empty if it failed."""
    print(f"== {name}", flush=True)
    out = build / "bench" / f"{name}.json"
    done = subprocess.run(["/usr/bin/python3", HERE / f"{name}.py", "--out", out, "--rounds", str(rounds)],
                          env={**os.environ, "NETSERV_BUILD_DIR": str(build)})
    if done.returncode != 0:
        print(f"{name}: ended with status {done.returncode}")
        return []
    return [judge_row(name, row) for row in json.loads(out.read_text()) if "target" in row]


def judge_row(name, row):
    measured = row.get("ratio", row["value"])
    at_most = row.get("sense") == "at most"
    met = measured <= row["target"] if at_most else measured >= row["target"]
    unit = "ratio" if "ratio" in row else row["unit"]
    return (f"  {name + ' ' + row['name']:64} {number(measured):>14}  {'<=' if at_most else '>='} {number(row['target'])} {unit}"
            f"  {'met' if met else 'MISSED'}", met)


def judge(target, results):
    """One line of the table of targets, and whether it is met."""
    rows = results.get(target["bench"])
    value = rows and value_of(rows, target["row"], target["metric"])
    unit = target["metric"]
    if value is not None and "relative_to" in target:
        base = value_of(rows, target["relative_to"], target["metric"])
        value = value / base if base else None
        unit = "ratio"
    wanted = f"<= {number(target['at_most'])}" if "at_most" in target else f">= {number(target['at_least'])}"
    if value is None:
        return f"  {target['what']:64} {'not measured':>14}  {wanted} {unit}  MISSING", False
    met = value <= target["at_most"] if "at_most" in target else value >= target["at_least"]
    return f"  {target['what']:64} {number(value):>14}  {wanted} {unit}  {'met' if met else 'MISSED'}", met


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="example: bench/run.py build --rounds 1 ring figure11")
    parser.add_argument("build", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a benchmark; all by default")
    parser.add_argument("--rounds", type=int, default=3, help="of the scripts that measure a whole node")
    options = parser.parse_args()
    build, names = options.build.resolve(), options.names
    out = build / "bench"
    out.mkdir(exist_ok=True)
    results, failed = {}, False
    for name, argv in programs(build, names).items():
        rows = run(name, argv, out / f"{name}.json", build)
        failed |= rows is None
        if rows is not None:
            results[name] = rows
    whole = {name: run_whole_node(name, build, options.rounds) for name in WHOLE_NODE if not names or name in names}
    failed |= not all(whole.values())
    targets = tomllib.loads((HERE / "targets.toml").read_text())["target"]
    print("\n== targets")
    verdicts = [judge(t, results) for t in targets if not names or t["bench"] in names]
    verdicts += [line for lines in whole.values() for line in lines]
    for line, _ in verdicts:
        print(line)
    print(f"{sum(met for _, met in verdicts)} of {len(verdicts)} targets met; results in {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
