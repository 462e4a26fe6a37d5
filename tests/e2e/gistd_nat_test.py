#!/usr/bin/python3
"""A user behind a NAT: signalling crosses one that translates it (RFC 5971, 7.2.2), and says so where one does not."""

import json
import unittest

import support
from netserv_lab.signalling import Signalling
from sites_test import SITES, deploy, send_until, watched
from support import NETMONITOR, in_lab


class ATranslatingNat(unittest.TestCase):
    @in_lab("sites-nat-gist")
    def test_a_setup_crosses_it_and_installs_on_both_sides(self, lab):
        nat, everywhere = lab["access"].address(), [*SITES, "home"]
        answer = deploy(lab, nat)
        self.assertEqual((answer.names, answer.each("state"), answer.status), (everywhere, ["ACTIVE"] * 4, 0), answer)
        send_until(lab, lambda: all(watched(lab).values()), lambda: f"all modules see the user's packets: {watched(lab)}")

        # Too much for datagrams: from the outside over an association through the NAT's door.
        answer = lab.publisher.toward(nat, "probe", "--kind", "capabilities")
        self.assertEqual((answer.names, answer.status), (everywhere, 0), answer)
        doors = lab["home"].run("ss", "-Htn", "state", "established", "( sport = :270 )").stdout.splitlines()
        self.assertEqual(len(doors), 1, doors)

        # Refreshed, and removed, over the state that is there.
        answer = deploy(lab, nat)
        self.assertEqual((answer.names, answer.status), (everywhere, 0), answer)
        answer = lab.publisher.toward(nat, "remove", NETMONITOR)
        self.assertEqual((answer.names, answer.each("code"), answer.status), (everywhere, [202] * 4, 0), answer)

    @in_lab("sites-nat-gist")
    def test_a_trigger_comes_back_out_of_it(self, lab):
        answer = lab.publisher.toward(lab["access"].address(), "trigger", "probe", "--kind", "node")
        self.assertEqual((answer.names, answer.status), (["home", "east", "middle", "west"], 0), answer)

    @in_lab("sites-nat-gist")
    def test_a_request_signed_for_another_path_is_not_taken_behind_it(self, lab):
        """`toward` is the NAT's address only where the operator says that this is what the world knows."""
        home = lab["home"].signalling
        home.nslpd.stop()
        home.options = [o for o in home.options if o not in ("--behind-nat", lab["access"].address())]
        home.start_nslpd()
        home.wait_until_ready()
        answer = deploy(lab, lab["access"].address())
        self.assertEqual((answer.names, answer.each("code")[3], answer.status), ([*SITES, "home"], 526, 6), answer)


def signals(lab, host):
    """gistd and nslpd on a host that has none in the topology."""
    lab[host].signalling = Signalling(lab[host], lab.build, lab[host].folder / "signalling", initiator=True)
    lab[host].signalling.start()


class AnyOtherNat(unittest.TestCase):
    @in_lab("sites-nat")
    def test_from_inside_the_sender_learns_of_it_at_once(self, lab):
        # RFC5971: 7.2.1-3
        signals(lab, "user")
        publisher = lab["publisher"].address()
        done = lab["user"].run(lab.build.program("netserv"), "probe", "--kind", "node", "--toward", publisher, "--timeout", "20",
                               "--nslp-socket", lab["user"].signalling.socket, "--json", check=False)
        answer = json.loads(done.stdout)
        self.assertEqual([n["code"] for n in answer["nodes"]], [601], answer)
        self.assertIn("NAT", answer["nodes"][0]["text"])
        self.assertEqual(done.returncode, 1, done.stderr)
        # By the error that came back through the NAT, not by giving up.
        self.assertIn("code 9/4", lab["user"].signalling.gistd.output())

    @in_lab("sites-nat")
    def test_from_outside_the_path_ends_before_it(self, lab):
        # RFC5971: 7.2.1-5
        signals(lab, "user")
        access = lab["access"]
        access.run("iptables", "-t", "nat", "-A", "PREROUTING", "-i", "eth0", "-p", "udp", "--dport", "270",
                   "-j", "DNAT", "--to", lab["user"].address())
        answer = deploy(lab, access.address())
        self.assertEqual((answer.names, answer.each("code")[3], answer.status), ([*SITES, "unknown"], 601, 6), answer)
        self.assertIn("NAT", answer.nodes[3]["text"])
        self.assertEqual(answer.each("state")[:3], ["ACTIVE"] * 3, answer)

    @in_lab("sites-nat")
    def test_gistd_on_the_nat_itself_is_the_end_of_the_path(self, lab):
        access = lab["access"]
        access.signalling = Signalling(access, lab.build, access.folder / "signalling", initiator=True)
        access.signalling.start_gistd()
        access.signalling.gistd.wait_for_line("listening on")
        done = lab["publisher"].run(lab.build.program("gist-ping"), access.address(), "--json", "-c", "1", "--socket",
                                    lab["publisher"].signalling.run_folder / "gistd.sock")
        answer = json.loads(done.stdout)
        self.assertEqual([hop["address"] for hop in answer["path"]],
                         [*(node.host.address() for node in lab.nodes.values()), access.address()], answer)
        self.assertTrue(answer["complete"], answer)


if __name__ == "__main__":
    support.main()
