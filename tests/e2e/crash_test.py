#!/usr/bin/python3
"""netservd or a container killed with -9 at each stage of an installation, and disks that are full: afterwards every
module is ACTIVE or tried again, and once it is removed nothing of it is left.

The stages are held open: a script in a helper's place waits before or after it runs the helper, and a module stays in
its start function until it is stopped there.
"""

import os
import signal
import subprocess
import unittest
from pathlib import Path

import support
from netserv_lab import cgroups, kernel, supervise
from netserv_lab.waiting import until
from netserv_lab.wasm import add_manifest
from support import KEEPALIVE, NETMONITOR, in_lab

FILTERS = {"filter_port": 5060, "filter_proto": "udp"}
SPINNER = "Tests.Spinner_1.0.0"
NEVER_STARTS = """(module (import "log/1" "write" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17) (data (i32.const 16) "begins") (global (export "netserv_window") i32 (i32.const 65536))
  (global (export "netserv_batch") i32 (i32.const 4096)) (func (export "netserv_process") (param i32))
  (func (export "_initialize") (call $log (i32.const 1) (i32.const 16) (i32.const 6)) (loop $on (br $on))))"""


class HeldHelper:
    """The build's programs, one of them held: it writes `reached` where it waits, until release()."""

    def __init__(self, node, name, where):
        self.folder = node.folder / "programs"
        self.folder.mkdir()
        self.held, self.reached = self.folder / "held", self.folder / "reached"
        for program in node.build.program("netservd").parent.iterdir():
            (self.folder / program.name).symlink_to(program)
        wait = f"echo >> {self.reached}; while [ -e {self.held} ]; do sleep 0.01; done"
        real = node.build.program(name)
        script = self.folder / name
        script.unlink()
        script.write_text(f"#!/bin/sh\n{wait}\nexec {real} \"$@\"\n" if where == "before" else
                          f"#!/bin/sh\n{real} \"$@\"; status=$?\n{wait}\nexit $status\n")
        script.chmod(0o755)
        self.held.touch()
        node.program_folder = self.folder

    def release(self):
        self.held.unlink()


def below(folder):
    """Files and folders. What goes while it is looked for does not count (Path.rglob would raise)."""
    return sorted(os.path.join(at, name) for at, folders, files in os.walk(folder) for name in folders + files)


def files_below(folder):
    return [os.path.relpath(path, folder) for path in below(folder) if not os.path.isdir(path)]


def helper_processes(node):
    """Command lines of what netservd has started from its program folder, containers' first processes apart."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        if entry.name.isdigit() and any(f"/{name} " in f"{line} " for name in ("netserv-fetch", "netserv-compile", "netserv-launch")):
            found.append(line)
    return sorted(found)


class Leftovers:
    """What a node has on its machine, but for the cache of compiled objects and its database."""

    def __init__(self, node):
        self.node = node
        self.before = self.now()

    def now(self):
        node = self.node
        return {
            "containers": node.container_processes(),
            "helpers": helper_processes(node),
            "control groups": [path for group in cgroups.groups_of(node.folder.relative_to(supervise.RUNS).parts[0])
                               for path in below(group) if Path(path).name.startswith(("lxc.payload.", "lxc.monitor."))],
            "mounts": Path("/proc/self/mounts").read_text().splitlines(),
            "interfaces": node.interfaces(),
            "rules": node.rules(),
            "work": files_below(node.cache_folder / "work"),
            "granted": files_below(node.cache_folder / "publishers"),
            "container state": files_below(node.state_folder / "containers"),
            "control sockets": [f for f in files_below(node.run_folder / "containers") if f.endswith(".sock")],
        }

    def wait_until_gone(self):
        until(lambda: self.now() == self.before, lambda: f"nothing is left: {self.now()} instead of {self.before}", 90)


class Crash(unittest.TestCase):
    def killed_while(self, lab, helper, where):
        node = lab.node
        held = HeldHelper(node, helper, where)
        node.start()
        left = Leftovers(node)
        lab.publisher.serve("keepalive")
        lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", wait=False, **FILTERS)
        until(held.reached.exists, f"{helper} is held")
        node.netservd.kill()
        node.start_netservd()
        self.assertIsNotNone(node.module(KEEPALIVE), "what was accepted is known")
        held.release()
        node.wait_for_state(KEEPALIVE, "ACTIVE")
        until(lambda: len(node.container_processes()) == 1, "in one container")
        lab.publisher.remove(node, KEEPALIVE)
        left.wait_until_gone()

    @in_lab(start=False)
    def test_while_it_is_downloaded(self, lab):
        self.killed_while(lab, "netserv-fetch", "before")

    @in_lab(start=False)
    def test_while_it_is_compiled(self, lab):
        self.killed_while(lab, "netserv-compile", "before")

    @in_lab(start=False)
    def test_when_it_is_compiled(self, lab):
        self.killed_while(lab, "netserv-compile", "after")

    @in_lab(start=False)
    def test_before_its_container_starts(self, lab):
        self.killed_while(lab, "netserv-launch", "before")

    @in_lab(start=False)
    def test_when_its_container_has_started(self, lab):
        self.killed_while(lab, "netserv-launch", "after")

    def held_in_start(self, lab):
        """NetMonitor ACTIVE, and beside it a module in the middle of its start function; the stopped container's pid."""
        node = lab.node
        wat, wasm = lab.folder / "spinner.wat", lab.folder / "spinner.wasm"
        wat.write_text(NEVER_STARTS)
        subprocess.run(["wat2wasm", wat, "-o", wasm], check=True)
        lab.publisher.serve("netmonitor")
        lab.publisher.put("spinner.wasm", add_manifest(wasm.read_bytes(), name=SPINNER.split("_")[0], version="1.0.0", abi=1,
                                                       kind=["packet"], blocks=["packet/1", "log/1"], memory_pages=17))
        lab.publisher.setup(node, NETMONITOR, "netmonitor.wasm", **FILTERS)
        for starts in range(1, 20):  # a start has a second of CPU time: it may be over before it is seen
            lab.publisher.setup(node, SPINNER, "spinner.wasm", wait=False, check=False, **FILTERS)
            until(lambda: node.command("module", "logs", SPINNER).stdout.count("begins") >= starts, "its start function runs")
            (pid,) = node.container_processes()
            os.kill(pid, signal.SIGSTOP)
            # What it had said before is heard once netservd has answered.
            if [node.state_of(SPINNER) for _ in range(2)] == ["STARTING", "STARTING"]:
                return pid
            os.kill(pid, signal.SIGCONT)
            node.wait_for_state(SPINNER, "FAILED")
        self.fail("its start function is always over too soon")

    def the_spinner_alone_fails(self, lab, left):
        node = lab.node
        node.wait_for_state(SPINNER, "FAILED")
        self.assertEqual(node.module(SPINNER)["code"], 523, node.module(SPINNER))
        node.wait_for_state(NETMONITOR, "ACTIVE")
        until(lambda: len(node.container_processes()) == 1, "in one container")
        for module in (SPINNER, NETMONITOR):
            lab.publisher.remove(node, module)
        left.wait_until_gone()

    @in_lab()
    def test_container_while_a_module_starts(self, lab):
        left = Leftovers(lab.node)
        os.kill(self.held_in_start(lab), signal.SIGKILL)
        self.the_spinner_alone_fails(lab, left)

    @in_lab()
    def test_netservd_while_a_module_starts(self, lab):
        left = Leftovers(lab.node)
        container = self.held_in_start(lab)
        lab.node.netservd.kill()
        lab.node.start_netservd()
        os.kill(container, signal.SIGCONT)
        self.the_spinner_alone_fails(lab, left)

    @in_lab()
    def test_both_while_a_module_starts(self, lab):
        left = Leftovers(lab.node)
        container = self.held_in_start(lab)
        lab.node.netservd.kill()
        os.kill(container, signal.SIGKILL)
        lab.node.start_netservd()
        self.the_spinner_alone_fails(lab, left)

    @in_lab()
    def test_at_any_moment(self, lab):
        node = lab.node
        left = Leftovers(node)
        lab.publisher.serve("keepalive")
        # Once its object is cached an installation is short: where it is caught differs, what follows must not.
        for state in (None, "INSTALLING", "RESOLVED", "STARTING", "ACTIVE", "STOPPING"):
            lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", wait=False, **FILTERS)
            order = ("INSTALLING", "INSTALLED", "RESOLVED", "STARTING", "ACTIVE")
            if state in order:
                until(lambda: order.index(node.state_of(KEEPALIVE)) >= order.index(state), f"it is {state} or further")
            asked = state == "STOPPING" and lab.publisher.remove(node, KEEPALIVE)
            node.netservd.kill()
            node.start_netservd()
            if not asked:
                node.wait_for_state(KEEPALIVE, "ACTIVE")
                lab.publisher.remove(node, KEEPALIVE)
            until(lambda: node.module(KEEPALIVE) is None, "it is removed")
        left.wait_until_gone()


class Disk(unittest.TestCase):
    @in_lab(start=False)
    def test_state_folder_full(self, lab):
        node = lab.node
        kernel.mount("small", str(node.state_folder), "tmpfs", 0, "size=4m,mode=755")
        node.start()
        lab.publisher.serve("keepalive", "netmonitor")
        lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        filler = node.state_folder / "filler"
        with open(filler, "wb", buffering=0) as f, self.assertRaises(OSError):
            while True:
                f.write(bytes(4096))
        # Requests go on until the pages that the database has are full too.
        answers = []

        def refused():
            answers.append(lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", check=False, **FILTERS))
            return answers[-1]["code"] == 402

        until(refused, lambda: f"a request finds the disk full: {answers[-1]}")
        self.assertEqual(node.state_of(KEEPALIVE), "ACTIVE", "what runs goes on")
        filler.unlink()
        self.assertEqual(lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)["code"], 203)
        node.netservd.kill()
        node.start_netservd()
        node.wait_for_state(KEEPALIVE, "ACTIVE")

    @in_lab()
    def test_nothing_is_granted_for_a_refused_setup(self, lab):
        node = lab.node
        granted = node.cache_folder / "publishers"
        lab.publisher.serve("keepalive")
        lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        lab.publisher.remove(node, KEEPALIVE)
        until(lambda: files_below(granted) == [], lambda: f"its object is revoked: {files_below(granted)}")
        node.command("node", "drain")
        self.assertEqual(lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", check=False, **FILTERS)["code"], 401)
        self.assertEqual(files_below(granted), [])
        node.netservd.kill()
        (granted / lab.publisher.name / f"{'0' * 64}-1.so").write_bytes(b"left by a crash")
        node.start_netservd()
        self.assertEqual(files_below(granted), [])


if __name__ == "__main__":
    support.main()
