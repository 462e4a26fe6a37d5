#!/usr/bin/python3
"""A publisher's developer, by docs/howto-publisher.md: from an empty folder to a module that works on a node, is looked
at, and is taken away again. And what a node tells of itself, to whom."""

import json
import shutil
import struct
import unittest

import support
from netserv_lab import kernel
from netserv_lab.build import Build
from netserv_lab.load import Sink, Source
from netserv_lab.waiting import until
from support import KEEPALIVE, in_lab

PORT = 5060


def udp_packet(destination_port, payload=b"hello"):
    udp = struct.pack(">HHHH", 4000, destination_port, 8 + len(payload), 0) + payload
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])) + udp


def write_pcap(path, packets):
    raw_ip = 101
    blocks = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, raw_ip)]
    blocks += [struct.pack("<IIII", n, 0, len(p), len(p)) + p for n, p in enumerate(packets)]
    path.write_bytes(b"".join(blocks))


def in_roots_home(folder):
    """The build where nobody but root can look for it, as below /root."""
    home = folder / "home"
    (home / "build").mkdir(parents=True)
    home.chmod(0o700)
    kernel.mount(str(Build.find().folder), str(home / "build"), "", kernel.MS_BIND)
    return Build(home / "build")


class CheckedOutInRootsHome(unittest.TestCase):
    @in_lab(build_in=in_roots_home)
    def test_containers_start_all_the_same(self, lab):
        lab.publisher.serve("keepalive")
        lab.publisher.setup(lab.node, KEEPALIVE, "keepalive.wasm", filter_port=PORT, filter_proto="udp")
        self.assertEqual(lab.node.state_of(KEEPALIVE), "ACTIVE")


class Developer(unittest.TestCase):
    @in_lab()
    def test_the_howto(self, lab):
        for language, port in (("c++", PORT), ("c", PORT + 2)):
            self.from_a_template(lab, language, port)

    def from_a_template(self, lab, language, port):
        node, publisher, name = lab.node, lab.publisher, f"hello-{language.replace('+', 'p')}"
        project, module_id = lab.folder / name, f"{name}_1.0.0"
        self.netserv(lab, "new", project, "--lang", language)
        wasm = self.netserv(lab, "build", project)["wasm"]
        facts = self.netserv(lab, "inspect", wasm)
        self.assertEqual((facts["accepted"], facts["id"]), (True, module_id), facts)

        before, after = lab.folder / f"{name}-in.pcap", lab.folder / f"{name}-out.pcap"
        write_pcap(before, [udp_packet(port), udp_packet(port + 1)])
        self.netserv(lab, "run", wasm, "--pcap", before, "--property", f"port={port}", "--out", after)
        self.assertIn(udp_packet(port + 1), after.read_bytes())
        self.assertNotIn(udp_packet(port), after.read_bytes())

        publisher.serve()
        shutil.copy(wasm, publisher.files)
        other = publisher.setup(node, "other_1.0.0", f"{name}.wasm", check=False, filter_port=port, filter_proto="udp")
        self.assertIn(f"the module says that it is {module_id}", other["text"])
        sink = Sink(lab["server"], lab.build, port=port)
        answer = publisher.setup(node, module_id, f"{name}.wasm", filter_port=port, filter_proto="udp", filter_dst=sink.address,
                                 properties=[f"port={port}"])
        self.assertEqual(answer["state"], "ACTIVE", answer)
        source = Source(lab["client"], lab.build, sink, rate=500)

        def dropped():
            (module,) = publisher.probe(node, module_id)["body"]["modules"]
            return module.get("counters", {}).get("dropped", 0)

        until(lambda: dropped() > 100, "its own counter, which PROBE shows, tells what it does")
        publisher.remove(node, module_id)
        sink.wait_for_more(100)
        source.stop()

    def netserv(self, lab, *arguments):
        return json.loads(lab.node.command("module", *arguments, "--json", host=lab.publisher.host).stdout)

    @in_lab(publishers={"alice": "publisher", "bob": "visualizer"})
    def test_probes(self, lab):
        node, alice, bob = lab.node, lab.publishers["alice"], lab.publishers["bob"]
        alice.serve("keepalive")
        alice.setup(node, KEEPALIVE, "keepalive.wasm", filter_port=PORT, filter_proto="UDP")

        def probe(*what, publisher=None):
            return node.answer("probe", *what, *(publisher.identity() if publisher else ()), host=alice.host, check=False)

        body = probe("--kind", "node")["body"]
        self.assertEqual((body["address"], bool(body["version"])), (node.host.address(), True), body)
        body = probe("--kind", "capabilities")["body"]
        self.assertLessEqual({"packet/1", "timer/1", "log/1", "properties/1", "counters/1", "udp/1"}, set(body["blocks"]))
        self.assertEqual((body["runtimes"], body["plane"]), (["wasm"], node.status()["plane"]), body)
        for text in ("PROBE * NETSERV/0.1\nprobe: policy\nuser: alice\n\n", f"PROBE {KEEPALIVE} NETSERV/0.1\nuser: alice\n\n"):
            self.assertEqual(node.ncm(text).split()[2], "502", f"unsigned: {text}")
        body = probe("--kind", "policy", publisher=alice)["body"]
        self.assertLessEqual({"destinations", "filter_ports", "modules", "max_ttl_s", "memory_bytes", "cpu_percent", "bandwidth_bps"},
                             set(body))
        answer = probe(KEEPALIVE.split("_")[0], publisher=alice)
        self.assertEqual((answer["state"], answer["body"]["modules"][0]["id"]), ("ACTIVE", KEEPALIVE), "any version")
        self.assertEqual(probe(KEEPALIVE, publisher=bob)["code"], 524, "another publisher's")


if __name__ == "__main__":
    support.main()
