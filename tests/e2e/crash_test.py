#!/usr/bin/python3
"""netservd killed with -9 at each stage of an installation, and disks that are full: afterwards every module is ACTIVE
or tried again, and once it is removed nothing of it is left.

The stages are held open: a script in a helper's place waits before or after it runs the helper.
"""

import subprocess
import unittest
from pathlib import Path

import support
from netserv_lab import kernel
from netserv_lab.waiting import until
from support import KEEPALIVE, in_lab

FILTERS = {"filter_port": 5060, "filter_proto": "udp"}


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


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if not path.is_dir())


class Leftovers:
    """What a node has on its machine, but for the cache of compiled objects and its database."""

    def __init__(self, node):
        self.node = node
        self.before = self.now()

    def now(self):
        node = self.node
        return {
            "containers": node.container_processes(),
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
