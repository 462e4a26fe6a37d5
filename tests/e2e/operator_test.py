#!/usr/bin/python3
"""What an operator does: reloads the configuration, reads metrics, events and a module's log."""

import json
import subprocess
import sys
import unittest

import support
from netserv_lab import sip
from netserv_lab.publisher import Publisher
from netserv_lab.waiting import until
from support import KEEPALIVE, NETMONITOR, in_lab

FILTERS = {"filter_port": 5060, "filter_proto": "udp"}


def events(node):
    lines = node.command("node", "events", "--last", 1000, "--json").stdout.splitlines()
    return [json.loads(line) for line in lines if '"kind"' in line]


def as_another_user(node, socket_name, text):
    """What a user who is neither root nor netservd gets back from one of its sockets."""
    code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(30)\ns.connect(sys.argv[1])\n"
            "try: s.sendall(sys.argv[2].encode())\nexcept BrokenPipeError: pass\n"
            "while part := s.recv(4096): sys.stdout.write(part.decode())")
    # From within the folder: the lab's own folder is root's.
    return subprocess.run([sys.executable, "-c", code, socket_name, text], cwd=node.run_folder, user=65534, group=65534,
                          extra_groups=[], capture_output=True, text=True, check=False)


class Operator(unittest.TestCase):
    @in_lab()
    def test_whoever_the_file_mode_alone_lets_in_is_refused(self, lab):
        node = lab.node
        probe, status = "PROBE * NETSERV/0.1\nprobe: node\n\n", '{"verb":"status"}\n'
        for name, text in (("ncm.sock", probe), ("admin.sock", status)):
            self.assertIn("Permission denied", as_another_user(node, name, text).stderr, "the file's mode comes first")
        for path in (node.ncm_socket, node.admin_socket):
            path.chmod(0o666)
        refused = as_another_user(node, "ncm.sock", probe).stdout
        self.assertEqual(refused.splitlines()[0], "NETSERV/0.1 5 515 user 65534 may not use this socket")
        refused = as_another_user(node, "admin.sock", status).stdout
        self.assertEqual(json.loads(refused), {"error": {"subject": "user", "code": 515, "text": "65534 may not use this socket"}})
        self.assertIn(" 200 ", node.ncm(probe).splitlines()[0], "others are served")
        self.assertEqual(node.status()["state"], "running")

        # Where the configuration lets everybody in, it is meant.
        node.netservd.stop()
        node.config.write_text(node.config.read_text() + '\n[ncm]\nmode = 0o666\n')
        node.start_netservd()
        self.assertIn(" 200 ", as_another_user(node, "ncm.sock", probe).stdout.splitlines()[0])

    @in_lab()
    def test_reload(self, lab):
        node, alice = lab.node, lab.publisher
        alice.serve("keepalive")
        alice.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        containers = node.container_processes()
        bob = Publisher(lab["visualizer"], lab.build, "bob")
        bob.serve("keepalive")
        self.assertEqual(bob.setup(node, KEEPALIVE, "keepalive.wasm", check=False, **FILTERS)["code"], 500)

        good = node.config.read_text()
        node.config.write_text(good + "\n[[publisher]]\nname = 7\n")
        node.reload()
        until(lambda: "netservd.toml" in node.netservd.output(), "netservd says what is wrong with the file")
        self.assertEqual(bob.setup(node, KEEPALIVE, "keepalive.wasm", check=False, **FILTERS)["code"], 500)
        self.assertEqual(node.state_of(KEEPALIVE), "ACTIVE")

        node.publishers.append(bob)
        node.write_config()
        node.reload()
        until(lambda: node.status()["publishers"] == 2, "netservd takes the good file over")
        answer = bob.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        self.assertEqual(answer["state"], "ACTIVE", answer)
        self.assertTrue(set(containers) < set(node.container_processes()), "alice's container did not notice")

    @in_lab(start=False)
    def test_a_block_to_be_withheld_that_there_is_not(self, lab):
        """It would be there all the same, under its right name."""
        node = lab.node
        node.withhold = ["counter/1"]
        node.write_config()
        done = node.command("node", "check-config", node.config, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('[node] withhold: there is no building block "counter/1"; there are packet/1, ', done.stdout + done.stderr)
        node.withhold = ["counters/1"]
        node.write_config()
        node.command("node", "check-config", node.config)

    @in_lab(publishers={"alice": "publisher", "bob": "visualizer"})
    def test_reload_removes_what_it_would_refuse(self, lab):
        node, alice, bob = lab.node, lab.publishers["alice"], lab.publishers["bob"]
        for publisher in (alice, bob):
            publisher.serve("keepalive", "netmonitor")
            publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        alice.setup(node, NETMONITOR, "netmonitor.wasm", filter_port=53, filter_proto="udp")
        alice.policy["ports"] = [53]
        node.write_config()
        node.reload()
        until(lambda: len(node.modules()) == 2, lambda: f"alice's KeepAlive goes: {node.modules()}")
        self.assertEqual({(m["publisher"], m["id"], m["state"]) for m in node.modules()},
                         {("alice", NETMONITOR, "ACTIVE"), ("bob", KEEPALIVE, "ACTIVE")})
        (removed,) = [e for e in events(node) if e["kind"] == "removed"]
        self.assertEqual((removed["publisher"], removed["module"], removed["code"]), ("alice", KEEPALIVE, 510), removed)
        self.assertIn("filter-port: 5060", removed["text"])

        # The same at a start under another configuration.
        node.netservd.stop()
        bob.policy["ports"] = [53]
        node.write_config()
        node.start_netservd()
        until(lambda: len(node.modules()) == 1, lambda: f"bob's KeepAlive goes: {node.modules()}")
        until(lambda: len(node.container_processes()) == 1, "and his container")

    @in_lab()
    def test_one_netservd_a_folder(self, lab):
        node = lab.node
        lab.publisher.serve("keepalive")
        lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        for shared in ("state", "run", "cache"):
            other = node.config.with_name("other.toml")
            text = node.config.read_text()
            for name in {"state", "run", "cache"} - {shared}:
                text = text.replace(str(node.folder / name), str(node.folder / f"other-{name}"))
            other.write_text(text)
            second = node.host.start(f"second-{shared}", lab.build.program("netservd"), "--config", other)
            self.assertEqual(second.wait(), 1, second.tail())
            self.assertIn(f"{node.folder / shared}: another netservd uses this folder", second.output())
        # The first one has not noticed, and the folders are free once it is dead.
        self.assertEqual(lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)["code"], 203)
        node.netservd.kill()
        node.start_netservd()
        node.wait_for_state(KEEPALIVE, "ACTIVE")

    @in_lab(patient=True)
    def test_bandwidth(self, lab):
        node, alice = lab.node, lab.publisher
        sip.Server(lab["server"])
        alice.serve("keepalive")
        alice.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)

        def shaped_to():
            (pid,) = node.container_processes()
            return [q["options"]["rate"] for q in json.loads(subprocess.check_output(
                ["nsenter", "-t", str(pid), "-n", "tc", "-j", "qdisc", "show", "dev", "eth0"])) if q["kind"] == "tbf"]

        self.assertEqual(shaped_to(), [10_000_000 * 125], "bytes a second over the container's sockets")
        alice.policy["bandwidth_kbit"] = 8
        node.write_config()
        node.reload()
        until(lambda: shaped_to() == [8 * 125], "the container's sockets are held to it")
        client = sip.Client(lab["client"], lab["server"], calls=40, rate=50)
        self.assertEqual(client.process.wait(), 0, client.process.tail())
        node.counters_now()
        refused = next(n for name, n in node.metrics().items() if 'counter="refused_bandwidth"' in name)
        self.assertGreater(refused, 10, "replies that the bandwidth does not allow")
        served = lab["server"].udp_counters()["InDatagrams"]
        self.assertEqual(served, refused, "each goes on to the server, as if no module were there")

    @in_lab(patient=True)
    def test_metrics_and_events(self, lab):
        node = lab.node
        sip.Server(lab["server"])
        lab.publisher.serve("keepalive")
        lab.publisher.setup(node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        client = sip.Client(lab["client"], lab["server"], calls=40, rate=50)
        self.assertEqual(client.process.wait(), 0, client.process.tail())
        until(lambda: any("replied" in name and value >= 40 for name, value in node.metrics().items()),
              lambda: f"metrics tell of 40 replies: {node.metrics()}")
        families = {name.split("{")[0] for name in node.metrics()}
        for family in ("netserv_module_packets_total", "netserv_module_bytes_total", "netserv_module_verdicts_total",
                       "netserv_module_cpu_seconds_total", "netserv_module_traps_total", "netserv_module_restarts_total",
                       "netserv_batch_packets_bucket", "netserv_install_seconds_count", "netserv_installs_total",
                       "netserv_forwarder_total", "netserv_forwarder_container_total"):
            self.assertIn(family, families)
        self.assertEqual(node.metrics()['netserv_installs_total{outcome="active"}'], 1)
        lab.publisher.remove(node, KEEPALIVE)
        kinds = [event["kind"] for event in events(node)]
        for kind in ("accepted", "installed", "active", "removed"):
            self.assertIn(kind, kinds)


if __name__ == "__main__":
    support.main()
