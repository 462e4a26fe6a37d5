#!/usr/bin/python3
"""Requests along the path between the four sites: what the command's exit status says, both IP versions, all ways of
interception, and a path of twenty nodes."""

import unittest

import support
from netserv_lab.waiting import until
from sites_test import SITES, deploy, seen_by_modules, send_until, watched
from support import NETMONITOR, in_lab


def probe(lab, address, *options):
    return lab.publisher.toward(address, "probe", NETMONITOR, *options)


class ExitStatus(unittest.TestCase):
    """0 all, 6 some, 3 none because they refused, 4 because there is nobody, 1 because those who are there can't."""

    def outcome(self, answer, status, outcome, codes):
        self.assertEqual((answer.status, answer.json["outcome"], answer.each("code")), (status, outcome, codes), answer)

    @in_lab("sites")
    def test_all_some_none(self, lab):
        user, middle = lab["user"].address(), lab.nodes["middle"]
        self.outcome(deploy(lab, user), 0, "all", [201] * 3)
        self.outcome(probe(lab, user), 0, "all", [200] * 3)

        # One refuses by its policy: alice may have no packets of this server's there.
        lab.publisher.policy = {"destinations": ["10.77.0.0/16"]}
        middle.write_config()
        middle.reload()
        until(lambda: middle.module(NETMONITOR) is None, "the policy's change takes the module away")
        answer = deploy(lab, user)
        self.outcome(answer, 6, "some", [203, 510, 203])
        self.assertEqual((answer.nodes[1]["class"], answer.nodes[1]["object"]), (5, "filter-dst"), answer)
        self.assertEqual([name for name, node in lab.nodes.items() if node.module(NETMONITOR)], ["west", "east"])

        # Where there is nothing to remove, that is done, too.
        self.outcome(lab.publisher.toward(user, "remove", NETMONITOR), 0, "all", [202] * 3)
        self.assertFalse([name for name, node in lab.nodes.items() if node.module(NETMONITOR)])

        # None: each refuses.
        for node in lab.nodes.values():
            node.command("node", "disable", "alice")
        answer = deploy(lab, user)
        self.assertEqual((answer.status, answer.json["outcome"], answer.names), (3, "none", SITES), answer)
        self.assertFalse([name for name, node in lab.nodes.items() if node.module(NETMONITOR)])

    @in_lab("sites", start=False)
    def test_nobody_on_the_path(self, lab):
        lab["publisher"].signalling.start()
        for verb in (["probe", "--kind", "node"], ["remove", NETMONITOR]):
            answer = lab.publisher.toward(lab["user"].address(), *verb)
            self.outcome(answer, 4, "no node", [])

    @in_lab("sites")
    def test_nobody_can_decide(self, lab):
        """All take part in the path, but their controllers are dead."""
        for name in SITES:
            lab.nodes[name].netservd.kill()
        answer = lab.publisher.toward(lab["user"].address(), "probe", "--kind", "node", "--timeout", "5")
        self.assertEqual((answer.names, answer.json["outcome"]), (SITES, "none"), answer)
        self.assertEqual(set(answer.each("code")), {602}, answer)
        self.assertEqual(answer.status, 1, answer)


class WithoutDaemons(unittest.TestCase):
    @in_lab("sites", start=False)
    def test_what_is_missing_is_named(self, lab):
        publisher, signalling = lab["publisher"], lab["publisher"].signalling

        def command(*argv):
            done = publisher.run(lab.build.program(argv[0]), *argv[1:], check=False)
            return done.returncode, done.stderr

        request = ("netserv", "probe", "--kind", "node", "--nslp-socket", signalling.socket, "--toward")
        self.assertEqual(command(*request, "example.net")[0], 2)
        status, text = command(*request, lab["user"].address(), "--source", "fd00::1")
        self.assertEqual((status, "IP version" in text), (2, True), text)
        status, text = command(*request, "203.0.113.1")
        self.assertIn("no route", text)
        for program, status, text in (("nslpd", *command(*request, lab["user"].address())),
                                      ("gistd", *command("gist-ping", lab["user"].address(), "--socket", signalling.run_folder / "gistd.sock"))):
            self.assertEqual((status, f"is {program} running" in text), ({"nslpd": 4, "gistd": 2}[program], True), text)
        signalling.start_nslpd()
        signalling.nslpd.wait_for_line("listening on")
        status, text = command(*request, lab["user"].address())
        self.assertEqual((status, "gistd is not there" in text), (4, True), text)


class BothIpVersions(unittest.TestCase):
    def deploys(self, lab, version):
        user, server = lab["user"].address(version), lab["server"].address(version)
        publisher = lab.publisher
        publisher.version = version
        publisher.serve("netmonitor")
        answer = publisher.setup_toward(user, NETMONITOR, "netmonitor.wasm", "--filter-proto", "udp", "--filter-port", "5060",
                                        "--filter-dst", server, check=False)
        self.assertEqual((answer.names, answer.each("state"), answer.status), (SITES, ["ACTIVE"] * 3, 0), answer)
        self.assertEqual((answer.json["source"], answer.json["toward"]), (lab["publisher"].address(version), user))
        before = watched(lab)
        send_until(lab, lambda: all(seen_by_modules(node) > before[name] for name, node in lab.nodes.items()),
                   lambda: f"the modules see an IPv{version} packet: {watched(lab)}, before {before}", version)
        answer = probe(lab, user)
        self.assertEqual((answer.names, answer.each("state"), answer.status), (SITES, ["ACTIVE"] * 3, 0), answer)
        answer = lab.publisher.toward(user, "remove", NETMONITOR)
        self.assertEqual((answer.names, answer.each("code"), answer.status), (SITES, [202] * 3, 0), answer)
        self.assertFalse([name for name, node in lab.nodes.items() if node.module(NETMONITOR)])

    @in_lab("sites")
    def test_ipv6_by_packet_filter(self, lab):
        self.deploys(lab, 6)

    @in_lab("sites", start=False)
    def test_ipv6_by_router_alert(self, lab):
        self.by_router_alert(lab, 6)

    @in_lab("sites", start=False)
    def test_ipv4_by_router_alert(self, lab):
        self.by_router_alert(lab, 4)

    def by_router_alert(self, lab, version):
        for name in SITES:
            lab[name].signalling.gistd_options += ["--intercept", "none", "--interface", "eth0=router-alert", "--interface",
                                                   "eth1=router-alert"]
        lab.start()
        for name in SITES:
            self.assertNotIn("NFQUEUE", lab[name].run("iptables-save", "-t", "mangle").stdout)
        self.deploys(lab, version)


class TwentyNodes(unittest.TestCase):
    @in_lab("chain")
    def test_a_setup_is_answered_by_each_in_the_order_of_the_path(self, lab):
        user, names = lab["user"].address(), [f"n{i:02}" for i in range(1, 21)]
        publisher = lab.publisher
        publisher.serve("netmonitor")
        answer = publisher.setup_toward(user, NETMONITOR, "netmonitor.wasm", "--nodes", "first=3", check=False)
        self.assertEqual(answer.names, names, answer)
        self.assertEqual(answer.each("code"), [201] * 3 + [102] * 17, answer)
        self.assertEqual((answer.each("state")[:3], answer.status), (["ACTIVE"] * 3, 0), answer)
        self.assertEqual(answer.each("rtt_ms"), sorted(answer.each("rtt_ms")), answer)
        self.assertEqual([name for name, node in lab.nodes.items() if node.module(NETMONITOR)], names[:3])

        answer = publisher.setup_toward(user, NETMONITOR, "netmonitor.wasm", "--nodes", "all", "--dependencies", "teleport/1",
                                        check=False)
        self.assertEqual((answer.names, answer.each("code"), answer.status), (names, [516] * 20, 3), answer)
        self.assertEqual(answer.each("address"), [node.host.address() for node in lab.nodes.values()], answer)


if __name__ == "__main__":
    support.main()
