#!/usr/bin/python3
"""run.py BUILD SECONDS [NAME...]: each fuzzer for SECONDS on its corpus in fuzz/corpus, then the lines that corpus reaches.

New inputs are kept in BUILD/fuzz-found/NAME; a crash leaves its input there, is named, and fails the run.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def tool(name):
    for candidate in (name, f"{name}-14", *(f"/usr/lib/llvm-{v}/bin/{name}" for v in (14, 15, 16))):
        if shutil.which(candidate):
            return candidate
    raise SystemExit(f"fuzz/run.py: no {name}: install the packages of packaging/apt/fuzz.txt")


def fuzz(program, name, seconds, found):
    corpus = HERE / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    profile = found.parent / f"{name}.profraw"
    done = subprocess.run([program, found, *([corpus] if corpus.is_dir() else []), f"-max_total_time={seconds}",
                           "-seed=1", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
                           f"-artifact_prefix={found}/"],
                          capture_output=True, text=True, env={**os.environ, "LLVM_PROFILE_FILE": str(profile)})
    runs = next((line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line), "?")
    if done.returncode != 0:
        print(done.stderr[-4000:])
    return done.returncode == 0, runs, profile


def lines_reached(program, profile):
    merged = profile.with_suffix(".profdata")
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", profile, "-o", merged], check=True)
    done = subprocess.run([tool("llvm-cov"), "export", "-summary-only", f"-instr-profile={merged}", program], check=True,
                          capture_output=True, text=True)
    files = []
    for file in json.loads(done.stdout)["data"][0]["files"]:
        lines, name = file["summary"]["lines"], os.path.relpath(file["filename"], HERE.parent)
        if lines["covered"] and name.split("/")[0] in ("src", "modules", "sdk"):
            files.append((name, lines["covered"], lines["count"]))
    return files


def main():
    build, seconds, names = Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.argv[3:]
    failed = []
    for program in sorted((build / "bin").glob("*_fuzz")):
        name = program.name.removesuffix("_fuzz")
        if names and name not in names:
            continue
        passed, runs, profile = fuzz(program, name, seconds, build / "fuzz-found" / name)
        print(f"{name}: {runs} inputs in {seconds} s, {'no crash' if passed else 'CRASHED'}", flush=True)
        if not passed:
            failed.append(name)
            continue
        for file, covered, count in lines_reached(program, profile):
            print(f"    {100 * covered / count:5.1f}% of {count:5} lines  {file}")
    if failed:
        print(f"crashed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
