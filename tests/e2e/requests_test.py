#!/usr/bin/python3
"""Requests that a node must refuse, each by a clear answer that names what is wrong, with nothing left behind."""

import json
import re
import time
import unittest

import support
from netserv_lab.wasm import manifest_of, with_manifest
from netserv_lab.waiting import until
from support import KEEPALIVE, in_lab

FILTERS = {"filter_port": 5060, "filter_proto": "udp"}


def outcome(answer):
    """The code of a refusal: of the SETUP itself, or of the module that has FAILED meanwhile."""
    if "error" in answer:  # the command itself refused to send it
        return answer["error"]["code"]
    if answer["code"] == 200 and answer["state"] == "FAILED":
        return answer["body"]["modules"][0]["code"]
    return answer["code"]


class Refusals(unittest.TestCase):
    def refused(self, lab, code, contains="", module_id=KEEPALIVE, file="keepalive.wasm", fetches=0, **how):
        """SETUP is refused, at once or once it was tried, with that code and a text that has `contains`."""
        requests = len(lab.publisher.requests())
        answer = lab.publisher.setup(lab.node, module_id, file, check=False, **{**FILTERS, **how})
        self.assertEqual(outcome(answer), code, answer)
        self.assertIn(contains, str(answer))
        if fetches is not None:
            self.assertEqual(len(lab.publisher.requests()) - requests, fetches, "downloads")

    @in_lab()
    def test_text(self, lab):
        lab.publisher.serve("keepalive")
        for text, code in (
            ("PLEASE x_1 NETSERV/0.1\n\n", 302),
            ("SETUP x_1 NETSERV/9.9\n\n", 301),
            ("hello\n\n", 300),
            ("PROBE * NETSERV/0.1\nprobe: node\ncolour: green\n\n", 303),
            ("PROBE * NETSERV/0.1\nprobe: node\nprobe: node\n\n", 304),
            ("PROBE * NETSERV/0.1\nprobe: everything\n\n", 306),
            ("SETUP x_1 NETSERV/0.1\nurl: http://a/\nfilter-port: 99999\n\n", 306),
            ("PROBE * NETSERV/0.1\nprobe: " + "x" * 100_000 + "\n\n", 307),
        ):
            answer = lab.node.ncm(text)
            self.assertEqual(answer.split()[:3], ["NETSERV/0.1", str(code // 100), str(code)], (text[:60], answer[:200]))
        # Cut off in the middle: no answer is owed, the next one is served.
        lab.node.ncm("SETUP x_1 NETSER")
        self.assertIn(" 200 ", lab.node.ncm("PROBE * NETSERV/0.1\nprobe: node\n\n").splitlines()[0])

    @in_lab()
    def test_a_broken_message_is_answered_and_ends_the_connection(self, lab):
        probe = "PROBE * NETSERV/0.1\nprobe: node\n\n"
        for broken, code in (("hello\n\n", "300"), ("PROBE * NETSERV/0.1\nno colon\n\n", "300"), ("PROBE * NETSERV/0.2\n\n", "301"),
                             ("PROBE * NETSERV/0.1\nprobe: node\nprobe: node\n\n", "304")):
            told = lab.node.ncm(probe + broken + probe)
            self.assertEqual(re.findall(r"NETSERV/0\.1 \d (\d+) ", told), ["200", code], told)

    @in_lab()
    def test_answers_come_in_order(self, lab):
        lab.publisher.serve("keepalive")
        lab.publisher.setup(lab.node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        # The first is answered when the module has been stopped, the others could be at once.
        removal = lab.node.command("remove", KEEPALIVE, *lab.publisher.identity(), "--print", host=lab.publisher.host).stdout
        probe = "PROBE * NETSERV/0.1\nprobe: node\n\n"
        answers = lab.node.ncm(removal + probe + "PROBE * NETSERV/0.1\nprobe: everything\n\n" + probe)
        _, *told = answers.split("NETSERV/0.1 ")
        self.assertEqual([text.split()[:2] for text in told], [["2", "202"], ["2", "200"], ["3", "306"], ["2", "200"]], answers)
        self.assertEqual(told[0].split()[2], KEEPALIVE)
        head, body = told[1].split("\n\n", 1)
        headers = dict(line.split(":", 1) for line in head.splitlines()[1:])
        self.assertEqual(headers["node"], lab.node.host.address(), head)
        self.assertEqual(json.loads(body[:int(headers["content-length"])])["address"], lab.node.host.address())

    @in_lab()
    def test_authority(self, lab):
        lab.publisher.serve("keepalive")
        self.refused(lab, 510, "filter-dst", filter_dst="192.0.2.0/24")
        self.refused(lab, 516, "dependencies", dependencies="teleport/7")
        lab.publisher.name, name = "mallory", lab.publisher.name
        self.refused(lab, 500, "user")
        lab.publisher.name = name
        other = lab.publisher.key.with_name("other.key")
        lab.publisher.host.run(lab.build.program("netserv"), "key", "new", other)
        lab.publisher.key, key = other, lab.publisher.key
        self.refused(lab, 503, "signature")
        lab.publisher.key = key

    @in_lab()
    def test_replay(self, lab):
        def code_of(text):
            return int(lab.node.ncm(text).split()[2])

        lab.publisher.serve("keepalive")
        text = lab.publisher.signed(lab.node, KEEPALIVE, "keepalive.wasm", "--filter-proto", "udp", "--ttl", "100")
        self.assertEqual(code_of(text.replace("ttl:100", "ttl:9999").replace("ttl: 100", "ttl: 9999")), 503, text)
        self.assertIn(code_of(text), (101, 201))
        lab.node.wait_for_state(KEEPALIVE, "ACTIVE")
        self.assertEqual(code_of(text), 204)
        lab.publisher.remove(lab.node, KEEPALIVE)
        self.assertEqual(code_of(text), 507)
        soon = lab.publisher.signed(lab.node, KEEPALIVE, "keepalive.wasm", "--valid", "1")
        (expires,) = [int(line.split(":")[1]) for line in soon.splitlines() if line.startswith("expires")]
        until(lambda: time.time() > expires + 1, "the request expires")
        self.assertEqual(code_of(soon), 504)
        self.assertIsNone(lab.node.module(KEEPALIVE))

    @in_lab()
    def test_a_refused_request_stays_refused(self, lab):
        lab.publisher.serve("keepalive")
        text = lab.publisher.signed(lab.node, KEEPALIVE, "keepalive.wasm", "--filter-proto", "udp")
        outside = lab.publisher.signed(lab.node, KEEPALIVE, "keepalive.wasm", "--filter-proto", "udp", "--filter-dst", "192.0.2.0/24")
        lab.node.command("node", "drain")
        self.assertEqual([int(lab.node.ncm(t).split()[2]) for t in (text, outside)], [401, 510])
        lab.node.command("node", "undrain")
        self.assertEqual([int(lab.node.ncm(t).split()[2]) for t in (text, outside)], [507, 507])
        self.assertEqual(lab.node.modules(), [])

    @in_lab()
    def test_fetch_digest(self, lab):
        lab.publisher.serve("keepalive")
        url = lab.publisher.url("keepalive.wasm")
        options = ("--url", url, *lab.publisher.identity(), "--fetch-digest", "--filter-port", "5060", "--filter-proto", "udp")
        answer = lab.node.answer("setup", KEEPALIVE, *options, host=lab.publisher.host)
        self.assertEqual(answer["state"], "ACTIVE", answer)
        self.assertEqual(len(lab.publisher.requests()), 2, "the publisher's look, and the node's download")
        lab.publisher.remove(lab.node, KEEPALIVE)
        text = lab.node.command("setup", KEEPALIVE, *options, "--print", host=lab.publisher.host).stdout
        self.assertIn(lab.publisher.digest("keepalive.wasm"), text)
        absent = lab.node.command("setup", KEEPALIVE, "--url", lab.publisher.url("absent.wasm"), *lab.publisher.identity(),
                                  "--fetch-digest", host=lab.publisher.host, check=False)
        self.assertNotEqual(absent.returncode, 0)
        self.assertIn("404", absent.stdout + absent.stderr)

    @in_lab(start=False)
    def test_downloads(self, lab):
        lab.node.fetch_seconds = 5  # a slow one is to end
        lab.start()
        lab.publisher.serve("keepalive")
        url = lab.publisher.url
        self.refused(lab, 403, "404", url=url("absent.wasm"), fetches=1)
        self.refused(lab, 514, "url", url="http://127.0.0.1/keepalive.wasm")
        self.refused(lab, 306, "url", url="gopher://10.3.0.2/keepalive.wasm")
        self.refused(lab, 518, "sha-256", digest="0" * 64, fetches=1)
        self.refused(lab, 519, url=url("endless"), fetches=None)
        self.refused(lab, 404, url=url("slow/keepalive.wasm"), fetches=None)
        self.assertEqual([m for m in lab.node.modules() if m["state"] == "ACTIVE"], [])
        # After all that the node still works.
        answer = lab.publisher.setup(lab.node, KEEPALIVE, "keepalive.wasm", **FILTERS)
        self.assertEqual(answer["state"], "ACTIVE", answer)

    @in_lab()
    def test_modules(self, lab):
        lab.publisher.serve("keepalive")
        good = lab.build.module("keepalive").read_bytes()
        lab.publisher.put("text.wasm", b"#!/bin/sh\necho hello\n")
        lab.publisher.put("cut.wasm", good[:len(good) // 2])
        lab.publisher.put("future.wasm", with_manifest(good, abi=99))
        lab.publisher.put("greedy.wasm", with_manifest(good, blocks=[*manifest_of(good)["blocks"], "teleport/7"]))
        self.refused(lab, 520, file="text.wasm", fetches=1)
        self.refused(lab, 520, file="cut.wasm", fetches=1)
        self.refused(lab, 521, "99", file="future.wasm", fetches=1)
        self.refused(lab, 516, "teleport/7", file="greedy.wasm", fetches=1)
        monitor = "NetServ.apps.NetMonitor_1.0.0"
        self.refused(lab, 527, f"the id is {monitor}, but the module says that it is {KEEPALIVE}", module_id=monitor, fetches=1)
        self.refused(lab, 527, "KeepAlive_1.0.1", module_id="KeepAlive_1.0.1")
        until(lambda: not lab.node.container_processes(), "no container runs")
        self.assertEqual(lab.publisher.setup(lab.node, "KeepAlive_1.0.0", "keepalive.wasm", **FILTERS)["state"], "ACTIVE")


if __name__ == "__main__":
    support.main()
