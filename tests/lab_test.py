#!/usr/bin/python3
"""The lab's own promises: topologies are checked, networks forward, and nothing outlives a lab, however it ends."""

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))

from netserv_lab import cgroups, probe, supervise, topology  # noqa: E402
from netserv_lab.network import Network  # noqa: E402
from netserv_lab.waiting import until  # noqa: E402

LAB = Path(__file__).resolve().parent.parent / "lab/netserv-lab"
SEND = "import socket,sys; s=socket.socket(socket.getaddrinfo(sys.argv[1],9)[0][0],2); s.sendto(b'x',(sys.argv[1],9))"


class Topologies(unittest.TestCase):
    def test_those_shipped_are_good(self):
        for name in topology.names():
            self.assertTrue(topology.find(name).description, name)

    def test_a_bad_one_is_refused_by_name(self):
        for text, message in (
            ('[hosts.a]\nrouting = true', "hosts.a: unknown key routing"),
            ('[hosts.a]\n[[links]]\nends = ["a 10.0.0.1/24", "b 10.0.0.2/24"]', "link 0: no host b"),
            ('[hosts.a]\n[[links]]\nends = ["a 10.0.0.1/24"]', "link 0: needs two ends"),
            ('[hosts.a]\n[hosts.b]\n[[links]]\nends = ["a 10.0.0.256/24", "b"]', "link 0: "),
        ):
            path = Path(f"/tmp/netserv-lab-test-{os.getpid()}.toml")
            self.addCleanup(path.unlink, missing_ok=True)
            path.write_text(text)
            with self.assertRaises(topology.BadTopology) as raised:
                topology.load(path)
            self.assertIn(message, str(raised.exception))


class Networks(unittest.TestCase):
    def test_packets_reach_the_far_end(self):
        def play(folder):
            network = Network(topology.find("path"), folder)
            for version in (4, 6):
                server = network["server"]
                network["client"].run("/usr/bin/python3", "-c", SEND, server.address(version))
                until(lambda: server.udp_counters(version)["NoPorts"] == 1, f"an IPv{version} datagram arrives")
            return 0

        self.assertEqual(supervise.supervised(play), 0)


class Command(unittest.TestCase):
    def ask(self, *arguments):
        done = subprocess.run([LAB, *arguments, "--json"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_list_for_programs(self):
        found = self.ask("list")
        self.assertIn("sites", [t["name"] for t in found["topologies"]])
        self.assertIn("keepalive", [s["name"] for s in found["scenarios"]])

    def test_up_and_down_for_programs(self):
        lab = subprocess.Popen([LAB, "up", "edge", "--no-nodes", "--json"], stdout=subprocess.PIPE, text=True)
        try:
            up = json.loads(lab.stdout.readline())
            self.assertLessEqual({"client", "edge", "server"}, set(up["hosts"]))
            self.assertIn(up["lab"], [u["name"] for u in self.ask("list")["up"]])
            self.assertEqual(self.ask("down", up["lab"]), {"down": up["lab"]})
            self.assertEqual(lab.wait(), 0)
        finally:
            lab.kill()
            lab.stdout.close()
            lab.wait()


class Endings(unittest.TestCase):
    """Ends a lab in each way, from outside, and looks for what it leaves."""

    def end(self, act):
        run = supervise.new_run_name()
        folder = supervise.RUNS / run
        read, write = os.pipe()

        def play(inside):
            network = Network(topology.find("edge"), inside)
            network["client"].start("sleeper", "sleep", "1000")
            os.write(write, b"up")
            signal.pause()
            return 0

        outer = os.fork()
        if outer == 0:
            os.close(read)
            supervise._child(lambda: supervise.supervised(play, run))
        os.close(write)
        self.assertEqual(os.read(read, 2), b"up")
        pids = folder / "pid"
        until(lambda: pids.exists() and pids.read_text().endswith("\n"), "it is written down who its init is")
        init = int(pids.read_text().split()[1])
        namespace = os.readlink(f"/proc/{init}/ns/pid")
        self.assertTrue(cgroups.groups_of(run))
        act(outer, init)
        os.waitpid(outer, 0)
        until(lambda: not self.processes_in(namespace), "its processes end")
        until(lambda: not folder.exists(), "its folder goes")
        self.assertEqual(cgroups.groups_of(run), [], "no control group stays")

    @staticmethod
    def processes_in(namespace):
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "ns/pid") == namespace:
                        found.append(entry.name)
                except OSError:
                    pass
        return found

    def test_terminated(self):
        self.end(lambda outer, init: os.kill(outer, signal.SIGTERM))

    def test_interrupted(self):
        self.end(lambda outer, init: os.kill(outer, signal.SIGINT))

    def test_outer_process_killed(self):
        self.end(lambda outer, init: os.kill(outer, signal.SIGKILL))

    def test_init_killed(self):
        self.end(lambda outer, init: os.kill(init, signal.SIGKILL))


if __name__ == "__main__":
    probe.skip_unless(probe.NETWORK)
    unittest.main(verbosity=2)
