"""Time that a hypervisor has given to other machines, from /proc/stat, in its ticks."""

from pathlib import Path


def ticks(cores):
    """Stolen from these cores since the machine's start."""
    names = {f"cpu{core}" for core in cores}
    return sum(int(line.split()[8]) for line in Path("/proc/stat").read_text().splitlines() if line.split(" ", 1)[0] in names)
