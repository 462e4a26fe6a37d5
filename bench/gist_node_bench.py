#!/usr/bin/python3
"""Two gistds in network namespaces: complete D-mode handshakes and C-mode messages a second between two applications at
their sockets, and the CPU time of each gistd, in per cent of a core.

Writes Google Benchmark's JSON: gist_node_bench.py --benchmark_out=FILE. Needs root and network namespaces.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

from rig import script  # noqa: E402

SECONDS = 5
ADDRESSES = {4: ("10.1.0.1", "10.1.0.2"), 6: ("fd00:1::1", "fd00:1::2")}
# Row, gist-load's arguments, IP version, TLS.
ROWS = (("handshakes/ipv4", ["handshakes"], 4, False), ("handshakes/ipv6", ["handshakes"], 6, False),
        ("messages/tcp", ["messages"], 4, False), ("messages/tls", ["messages"], 4, True),
        ("messages/tcp/16_kb", ["messages", "--bytes", "16000", "--window", "8"], 4, False))


def run_ns(pid):
    """CPU time of a gistd: the process and its child."""
    return script.run_ns(pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def certificate(host):
    base = host.folder / "own"
    host.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             f"{base}.key", "-out", f"{base}.pem", "-subj", "/CN=bench", "-days", "1")
    return ["--certificate", f"{base}.pem", "--key", f"{base}.key", "--authorities", f"{base}.pem"]


def measure(lab, name, what, version, tls):
    secure = [*certificate(lab["querier"]), "--tls-only"] if tls else []
    gistds, sockets = {}, {}
    for host in ("querier", "responder"):
        gistds[host] = lab[host].start("gistd", lab.build.program("gistd"), "--run-dir", lab[host].folder, "--intercept", "none",
                                       "--send-rate", 1000000, *secure)
        gistds[host].wait_for_line("listening on")
        sockets[host] = lab[host].folder / "gistd.sock"
    source, destination = ADDRESSES[version]
    before = {host: run_ns(process.pid) for host, process in gistds.items()}
    done = lab["querier"].run(lab.build.program("gist-load"), *what, "--querier", sockets["querier"], "--responder",
                              sockets["responder"], "--source", source, "--destination", destination, "--seconds", SECONDS)
    result = json.loads(done.stdout)
    elapsed = result["seconds"]
    percent = {f"{host}_percent": (run_ns(process.pid) - before[host]) / elapsed / 1e7 for host, process in gistds.items()}
    for process in gistds.values():
        process.stop()
    return script.row(f"gist_node/{name}", 1 / result["rate"], "ns", cpu_seconds=sum(percent.values()) / 100 / result["rate"],
                      iterations=result["arrived"], per_second=result["rate"], failed=result["failed"], **percent)


def measure_all(lab):
    return [measure(lab, *row) for row in ROWS]


if __name__ == "__main__":
    sys.exit(script.main([(HERE / "gist/two_nodes.toml", {}, measure_all)]))
