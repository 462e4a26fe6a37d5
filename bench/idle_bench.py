#!/usr/bin/python3
"""What a node costs that has nothing to do: CPU time of netservd, the forwarder and a container with a module, on both
planes, and with a module that only watches.

Writes Google Benchmark's JSON: idle_bench.py --benchmark_out=FILE. Needs root and what the lab needs.
"""

import functools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))

from rig import script  # noqa: E402

NETMONITOR = "NetServ.apps.NetMonitor_1.0.0"
SETTLE, SECONDS = 3, 20
# Row, plane, how the module sees packets.
ROWS = (("idle/xdp/path", "xdp", "path"), ("idle/xdp/observe", "xdp", "observe"), ("idle/netfilter/path", "netfilter", "path"))


def idle(name, mode, lab):
    node = lab.node.start()
    lab.publisher.serve("netmonitor")
    lab.publisher.setup(node, NETMONITOR, "netmonitor.wasm", filter_port=9000, filter_proto="udp",
                        filter_dst=lab["server"].address(), properties=[f"netserv.mode={mode}"])
    (container,) = node.container_processes()
    processes = {"netservd": node.netservd.pid, "forwarder": node.forwarder.pid, "container": container}
    time.sleep(SETTLE)  # the installation's last work
    before = {which: script.run_ns(pid) for which, pid in processes.items()}
    start = time.monotonic_ns()
    time.sleep(SECONDS)
    elapsed = time.monotonic_ns() - start
    percent = {f"{which}_percent": 100 * (script.run_ns(pid) - before[which]) / elapsed for which, pid in processes.items()}
    return [script.row(name, elapsed / 1e9, cpu_seconds=sum(percent.values()) * elapsed / 1e11, cpu_percent=sum(percent.values()),
                       **percent)]


if __name__ == "__main__":
    sys.exit(script.main([("edge", {"plane": plane}, functools.partial(idle, name, mode)) for name, plane, mode in ROWS]))
