"""A control group of the run's own in every hierarchy, so that what its containers make lies below it and goes with it.

liblxc puts a container's groups below those of the process that starts it. In cgroup v2 a group with limits on its
children may hold no process itself: there the lab sits in a leaf called init.scope, a name that liblxc looks through.
"""

import os
import time
from pathlib import Path

from .waiting import PATIENCE

ROOT = Path("/sys/fs/cgroup")
WANTED = ("cpu", "memory", "pids")


def group_name(run):
    return f"netserv-lab-{run}"


def join(run):
    """Moves the calling process into its run's groups."""
    if (ROOT / "cgroup.controllers").exists():
        _join_unified(ROOT / group_name(run))
        return
    for hierarchy, path in _own_v1_groups():
        group = ROOT / hierarchy / path.lstrip("/") / group_name(run)
        if not group.parent.exists():
            continue
        group.mkdir(exist_ok=True)
        for inherited in ("cpuset.cpus", "cpuset.mems"):
            if (group / inherited).exists():
                (group / inherited).write_text((group.parent / inherited).read_text())
        (group / "cgroup.procs").write_text(str(os.getpid()))


def _own_v1_groups():
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers:
            yield controllers.removeprefix("name="), path
        elif (ROOT / "unified").exists():
            yield "unified", path


def _join_unified(group):
    leaf = group / "init.scope"
    leaf.mkdir(parents=True, exist_ok=True)
    for parent in (ROOT, group):
        for controller in WANTED:
            try:
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError:
                pass  # the probe says which controllers are missing
    (leaf / "cgroup.procs").write_text(str(os.getpid()))


def remove(run):
    """Removes the run's groups once the last of its processes is gone. What could not be removed is returned."""
    deadline = time.monotonic() + PATIENCE
    while True:
        left = [p for p in groups_of(run) if not _remove_tree(p)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def groups_of(run):
    found = []
    for parent, folders, _ in os.walk(ROOT):
        for name in list(folders):
            if name == group_name(run):
                found.append(Path(parent) / name)
                folders.remove(name)
    return found


def cpu_of(pid):
    """What the kernel counts of the CPU time of a process's group that has a share: microseconds and periods."""
    paths = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") or [""]:
            paths[controller] = path.lstrip("/")
    if "cpu" in paths:
        group, files = _group("cpu", paths["cpu"]), ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        while (quota := int((group / files[0]).read_text())) < 0:
            group = group.parent
        period = int((group / files[1]).read_text())
        usage = _group("cpuacct", paths["cpuacct"]) / "cpuacct.usage"
    else:
        group = ROOT / paths[""]
        while (limit := (group / "cpu.max").read_text().split())[0] == "max":
            group = group.parent
        quota, period = map(int, limit)
        usage = None
    stat = _cpu_stat(group)
    while usage:  # another file: of the same period
        used, before = int(usage.read_text()) // 1000, stat
        stat = _cpu_stat(group)
        if stat["nr_periods"] == before["nr_periods"]:
            stat["usage_usec"] = used
            break
    return {"quota": quota, "period": period, "periods": stat["nr_periods"], "throttled": stat["nr_throttled"],
            "used": stat["usage_usec"]}


def _cpu_stat(group):
    return {name: int(n) for name, n in (line.split() for line in (group / "cpu.stat").read_text().splitlines())}


def _group(controller, path):
    """Of a first version's controller, whose hierarchy may be mounted under the name of several."""
    for hierarchy in ROOT.iterdir():
        if controller in hierarchy.name.split(",") and (hierarchy / path).exists():
            return hierarchy / path
    raise FileNotFoundError(f"the group {path} of {controller}")


def _remove_tree(group):
    for parent, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(parent)
        except FileNotFoundError:
            pass
        except OSError:
            return False
    return True
