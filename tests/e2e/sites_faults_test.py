#!/usr/bin/python3
"""What fails between the four sites while a module is installed: daemons, a link, the path itself."""

import unittest

import support
from netserv_lab.network import ip
from netserv_lab.waiting import until
from sites_test import SITES, deploy, seen_by_modules, send_until
from support import NETMONITOR, in_lab


class Faults(unittest.TestCase):
    def reach(self, lab, *wanted):
        """Probes until exactly these nodes answer, in this order; the answer."""
        def answer():
            seen.append(lab.publisher.toward(lab["user"].address(), "probe", "--kind", "node", "--timeout", "10"))
            return seen[-1] if seen[-1].names == list(wanted) else None

        seen = []
        return until(answer, lambda: f"{wanted} answer; the last answer: {seen[-1]}")

    def works(self, lab, *nodes):
        """The user's packets are seen by the modules of these nodes."""
        nodes = [lab.nodes[name] for name in nodes]
        before = [seen_by_modules(node, now=True) for node in nodes]
        send_until(lab, lambda: all(seen_by_modules(n) > b for n, b in zip(nodes, before)),
                   lambda: f"modules see packets; before: {before}")

    @in_lab("sites")
    def test_one_daemon_after_the_other_killed_on_the_middle_router(self, lab):
        middle, signalling = lab.nodes["middle"], lab["middle"].signalling
        self.assertEqual(deploy(lab, lab["user"].address()).names, SITES)

        signalling.gistd.kill()
        self.works(lab, *SITES)
        self.reach(lab, "west", "east")
        signalling.start_gistd()
        self.reach(lab, *SITES)  # nslpd has found the new one

        signalling.nslpd.kill()
        self.works(lab, *SITES)
        self.reach(lab, "west", "east")
        signalling.start_nslpd()
        signalling.wait_until_ready()
        self.reach(lab, *SITES)

        middle.netservd.kill()
        self.works(lab, "west", "east")  # the middle one's counters are netservd's to tell
        answer = self.reach(lab, *SITES)
        self.assertEqual(answer.each("code"), [200, 602, 200], answer)
        middle.start_netservd()
        self.assertEqual(self.reach(lab, *SITES).each("code"), [200] * 3)

        # A refresh finds all as it was, and the module where it was.
        answer = deploy(lab, lab["user"].address())
        self.assertEqual((answer.names, answer.each("state"), answer.status), (SITES, ["ACTIVE"] * 3, 0), answer)
        self.works(lab, *SITES)

    @in_lab("sites")
    def test_the_middle_router_crashes_with_all_daemons(self, lab):
        middle, signalling = lab.nodes["middle"], lab["middle"].signalling
        self.assertEqual(deploy(lab, lab["user"].address()).names, SITES)
        for process in (signalling.gistd, signalling.nslpd, middle.netservd):
            process.kill()
        answer = deploy(lab, lab["user"].address())  # a refresh goes on past it
        self.assertEqual((answer.names, answer.status), (["west", "east"], 0), answer)
        signalling.start()
        middle.start_netservd()
        answer = deploy(lab, lab["user"].address())
        self.assertEqual((answer.names, answer.each("state"), answer.status), (SITES, ["ACTIVE"] * 3, 0), answer)
        self.works(lab, *SITES)

    @in_lab("sites")
    def test_a_link_goes_down_and_comes_back(self, lab):
        self.assertEqual(deploy(lab, lab["user"].address()).names, SITES)
        lab.network.cut("core1", "middle")
        answer = lab.publisher.toward(lab["user"].address(), "probe", "--kind", "node", "--timeout", "20")
        self.assertEqual(answer.names[0], "west", answer)
        self.assertFalse({"middle", "east"} & set(answer.names), answer)
        lab.network.mend("core1", "middle")
        self.reach(lab, *SITES)
        answer = deploy(lab, lab["user"].address())
        self.assertEqual((answer.names, answer.each("state"), answer.status), (SITES, ["ACTIVE"] * 3, 0), answer)
        self.works(lab, *SITES)

    @in_lab("sites-detour")
    def test_the_path_changes_under_an_installed_module(self, lab):
        user = lab["user"].address()
        answer = deploy(lab, user, NETMONITOR, "--ttl", "8")
        self.assertEqual(answer.names, SITES, answer)

        _, core3 = lab.network.link_between("west", "core3")
        ip("route", "replace", "10.2.0.0/24", "via", core3.addresses[0].ip, host=lab["west"])
        answer = deploy(lab, user, NETMONITOR, "--ttl", "600")
        self.assertEqual((answer.names, answer.each("state")), (["west", "detour", "east"], ["ACTIVE"] * 3), answer)
        until(lambda: lab.nodes["middle"].module(NETMONITOR) is None, "the module of the old path expires")
        self.works(lab, "east", "detour", "west")


if __name__ == "__main__":
    support.main()
