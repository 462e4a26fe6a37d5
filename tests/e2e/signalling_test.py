#!/usr/bin/python3
"""A SETUP towards a user: gistd and nslpd find the nodes on the path, and each answers."""

import json
import unittest

import support
from netserv_lab.waiting import until
from support import NETMONITOR, in_lab


class Signalling:
    """gistd and nslpd on the publisher's host and on every node of a lab."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.publisher.folder / "signalling"
        self.folder.mkdir()
        self.daemons = {}
        self.start("publisher", lab.publisher.host, self.folder, "--initiator")
        for name, node in lab.nodes.items():
            self.start(name, node.host, node.run_folder)

    def start(self, name, host, run_folder, *options):
        program = self.lab.build.program
        gistd = host.start("gistd", program("gistd"), "--run-dir", run_folder, "--log-level", "debug")
        until(lambda: (run_folder / "gistd.sock").exists(), f"gistd of {name}")
        nslpd = host.start("nslpd", program("nslpd"), "--run-dir", run_folder, "--name", name, "--log-level", "debug", *options)
        nslpd.wait_for_line("attached")
        self.daemons[name] = [nslpd, gistd]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for daemons in self.daemons.values():
            for each in daemons:
                each.stop()

    def netserv(self, *arguments):
        """The command's exit status and its answer as JSON."""
        publisher = self.lab.publisher
        done = publisher.host.run(self.lab.build.program("netserv"), *arguments, "--user", publisher.name, "--key", publisher.key,
                                  "--nslp-socket", self.folder / "nslp.sock", "--json", check=False)
        if not done.stdout:
            raise AssertionError(done.stderr)
        return done.returncode, json.loads(done.stdout.splitlines()[-1])


class TowardAUser(unittest.TestCase):
    @in_lab("path")
    def test_every_node_on_the_path_installs_and_removes(self, lab):
        lab.publisher.serve("netmonitor")
        client = str(lab["client"].address())
        with Signalling(lab) as signalling:
            url = f"http://{lab.publisher.host.address()}:8000/netmonitor.wasm"
            status, answer = signalling.netserv(
                "setup", NETMONITOR, "--toward", client, "--url", url, "--module-file", lab.publisher.files / "netmonitor.wasm",
                "--filter-proto", "udp", "--filter-port", "5060", "--filter-dst", str(lab["server"].address()))
            self.assertEqual([n["node"] for n in answer["nodes"]], ["far", "near"], answer)
            self.assertEqual([n["state"] for n in answer["nodes"]], ["ACTIVE", "ACTIVE"], answer)
            self.assertEqual((status, answer["outcome"]), (0, "all"))

            status, answer = signalling.netserv("probe", "--kind", "node", "--toward", client, "--nodes", "last")
            self.assertEqual([n["code"] for n in answer["nodes"]], [102, 200], answer)

            status, answer = signalling.netserv("trigger", "probe", NETMONITOR, "--toward", client)
            self.assertEqual([n["node"] for n in answer["nodes"]], ["near", "far"], answer)

            status, answer = signalling.netserv("remove", NETMONITOR, "--toward", client)
            self.assertEqual([n["code"] for n in answer["nodes"]], [202, 202], answer)
            self.assertEqual(status, 0)


if __name__ == "__main__":
    support.main()
