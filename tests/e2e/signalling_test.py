#!/usr/bin/python3
"""A SETUP towards a user: gistd and nslpd find the nodes on the path, and each answers."""

import pwd
import unittest
from pathlib import Path

import support
from support import NETMONITOR, in_lab


class TowardAUser(unittest.TestCase):
    @in_lab("path")
    def test_every_node_on_the_path_installs_and_removes(self, lab):
        publisher, client = lab.publisher, lab["client"].address()
        publisher.serve("netmonitor")
        answer = publisher.setup_toward(client, NETMONITOR, "netmonitor.wasm", "--filter-proto", "udp", "--filter-port", "5060",
                                        "--filter-dst", lab["server"].address())
        self.assertEqual(answer.names, ["far", "near"], answer)
        self.assertEqual(answer.each("state"), ["ACTIVE", "ACTIVE"], answer)
        self.assertEqual((answer.status, answer.json["outcome"]), (0, "all"))

        answer = publisher.toward(client, "probe", "--kind", "node", "--nodes", "last")
        self.assertEqual(answer.each("code"), [102, 200], answer)

        answer = publisher.toward(client, "trigger", "probe", NETMONITOR)
        self.assertEqual(answer.names, ["near", "far"], answer)

        answer = publisher.toward(client, "remove", NETMONITOR)
        self.assertEqual(answer.each("code"), [202, 202], answer)
        self.assertEqual(answer.status, 0)

    @in_lab("path")
    def test_nslpd_has_no_rights(self, lab):
        for host, user in (("near", 0), ("publisher", pwd.getpwnam("nobody").pw_uid)):
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{lab[host].signalling.nslpd.pid}/status").read_text().splitlines())
            self.assertEqual(status["Uid"].split(), [str(user)] * 4, host)
            for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                self.assertEqual(int(status[kind], 16), 0, f"{host} {kind}")
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), host)


if __name__ == "__main__":
    support.main()
