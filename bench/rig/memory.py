"""Private memory and CPU time of processes, from /proc."""

import os
import time
from pathlib import Path


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def containers(inits):
    """The containers' first processes and their lxc monitors."""
    return inits + [parent_of(pid) for pid in inits]


def private_bytes(pid):
    fields = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in fields if line.startswith(("Private_Clean:", "Private_Dirty:")))


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_shares(groups, seconds=10):
    """Share of one core that each named group of processes uses while nothing happens."""
    def spent():
        return {name: sum(map(cpu_seconds, pids)) for name, pids in groups.items()}

    before = spent()
    time.sleep(seconds)
    return {name: (after - before[name]) / seconds for name, after in spent().items()}
