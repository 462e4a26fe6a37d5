#!/usr/bin/python3
"""gistd when things go wrong around it: ends of paths, killed daemons, links and routes that change."""

import contextlib
import os
import pwd
import signal
import unittest
from pathlib import Path

from gistd_support import (ASKS_ONCE, BAD, GOOD, IN_QUERY, LAST_NODE, NO_NEXT_NODE, PATH, RELIABLE, ROUTE_DELETION,
                           ROUTING_STATUS, TENTATIVE, Capture, case, gistd_processes, in_diamond, main, mri, new_session, wait)
from netserv_lab.waiting import until

FLOWS = {4: ("10.1.0.2", "10.6.0.2"), 6: ("fd00:1::2", "fd00:6::2")}
# Short enough for a test, long enough for a slow machine.
SHORT = ["--validity-ms", "800", "--t1-ms", "100"]


class LastNode(unittest.TestCase):
    @in_diamond
    def test_one_query_where_the_end_host_answers(self, lab):
        lab.gistds.start("left", "far", options=ASKS_ONCE)
        for target in (FLOWS[4][1], FLOWS[6][1]):
            with case(target):
                arrived = Capture(lab["right"], "eth0")
                self.assertEqual(lab.gistds.nodes(target), ["far"])
                self.assertEqual(len(arrived.gist()), 1)

    @in_diamond
    def test_back_off_where_it_does_not(self, lab):
        lab["right"].run("iptables", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP")
        lab.gistds.start("left")
        lab.gistds.start("far", options=["--t1-ms", "50", "--max-queries", "3"])
        arrived = Capture(lab["right"], "eth0")
        self.assertEqual(lab.gistds.nodes(FLOWS[4][1]), ["far"])
        self.assertEqual(len(arrived.gist()), 3)

    @in_diamond
    def test_the_application_is_told(self, lab):
        lab.gistds.start("far")
        far = lab.gistds.application("far")
        handle = far.send(new_session(), mri(*FLOWS[4]), b"data")
        wait(lambda: far.status_of(handle) and far.notified, "it is told", far)
        self.assertEqual(far.status_of(handle).error, NO_NEXT_NODE)
        self.assertEqual([n.type for n in far.notified], [LAST_NODE])

    @in_diamond
    def test_further_sessions_do_not_wait_though_the_host_answers_no_more(self, lab):
        """Linux answers seldom: here once a minute. The first answer counts for the sessions that follow."""
        lab["right"].set_sysctl("net.ipv4.icmp_ratelimit", 60000)
        lab.gistds.start("far", options=["--t1-ms", "60000", "--end-host-memory-ms", "60000"])
        far = lab.gistds.application("far")
        arrived = Capture(lab["right"], "eth0")
        handles = []
        for _ in range(5):
            handles.append(far.send(new_session(), mri(*FLOWS[4]), b"data"))
            wait(lambda: far.status_of(handles[-1]), "it is told before anything is sent again", far)
        self.assertEqual([far.status_of(h).error for h in handles], [NO_NEXT_NODE] * 5)
        self.assertEqual(len(arrived.gist()), 5)  # each asked all the same
        answers = [p for p in arrived.read() if p[9] == 1 and p[12:16] == bytes([10, 6, 0, 2])]
        self.assertEqual(len(answers), 1)

    @in_diamond
    def test_a_node_that_comes_up_is_found_in_spite_of_that(self, lab):
        lab.gistds.start("near", options=["--end-host-memory-ms", "60000"])
        near = lab.gistds.application("near")
        handle = near.send(new_session(), mri(*FLOWS[4]), b"data")
        wait(lambda: near.status_of(handle), "nobody is there", near)
        self.assertEqual(near.status_of(handle).error, NO_NEXT_NODE)
        lab.gistds.start("mid")
        mid = lab.gistds.application("mid")

        def arrives():
            near.send(new_session(), mri(*FLOWS[4]), b"data")
            return any(r.data == b"data" for r in mid.received)

        wait(arrives, "mid is found", near, mid)

    @in_diamond
    def test_a_stranger_can_not_end_a_path(self, lab):
        """An ICMP error that quotes a Query of another cookie says nothing."""
        lab["right"].run("iptables", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP")
        lab.gistds.start("far", options=["--t1-ms", "200", "--max-queries", "4"])
        far = lab.gistds.application("far")
        arrived = Capture(lab["right"], "eth0")
        handle = far.send(new_session(), mri(*FLOWS[4]), b"data")
        until(arrived.gist, "a Query arrives")
        forged = bytearray(arrived.gist()[0])
        forged[-20] ^= 1  # of the cookie or behind it
        lab["left"].run("python3", "-c", PORT_UNREACHABLE, "10.6.0.1", bytes(forged).hex())
        wait(lambda: far.status_of(handle), "given up in the end", far)
        self.assertEqual(len(arrived.gist()), 4)


PORT_UNREACHABLE = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
body = bytes([3, 3, 0, 0, 0, 0, 0, 0]) + bytes.fromhex(sys.argv[2])
total = sum(int.from_bytes((body + b"\\0")[i:i + 2], "big") for i in range(0, len(body), 2))
while total >> 16: total = (total & 0xffff) + (total >> 16)
body = body[:2] + (~total & 0xffff).to_bytes(2, "big") + body[4:]
s.sendto(body, (sys.argv[1], 0))
"""


def files_of(pid):
    """What a process has open; it may open and close meanwhile."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(descriptor))
    return found


class Rights(unittest.TestCase):
    @in_diamond
    def test_strangers_bytes_are_read_without_rights(self, lab):
        """The child is nobody with no capabilities under seccomp; the parent has two."""
        lab.gistds.start("near")
        keeper = lab.gistds["near"].pid
        # Beside the speaker there is the queue's watchdog, with the keeper's rights.
        speaker, watchdog = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()

        def status(pid):
            return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)

        network = 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
        for pid, capabilities in ((speaker, 0), (keeper, network), (watchdog, network)):
            seen = status(pid)
            for kind in ("CapEff", "CapPrm", "CapInh"):
                self.assertEqual(int(seen[kind], 16), capabilities, (pid, kind))
            self.assertEqual((seen["NoNewPrivs"], seen["Seccomp"]), ("1", "2"), pid)
            self.assertNotIn("Z", seen["State"])
        self.assertEqual([f for f in files_of(speaker) if f.startswith("/") and not f.endswith((".log", "/dev/null"))], [])
        nobody = pwd.getpwnam("nobody")
        self.assertEqual(set(status(speaker)["Uid"].split()), {str(nobody.pw_uid)})
        self.assertEqual(set(status(speaker)["Gid"].split()), {str(nobody.pw_gid)})
        self.assertEqual(status(speaker)["Groups"].strip(), "")


class Killed(unittest.TestCase):
    def goes_on_after_restart(self, lab, who, attributes):
        lab.gistds.start("left", "far", options=SHORT)
        apps = {name: lab.gistds.application(name) for name in ("left", "far")}
        session = new_session()
        apps["left"].send(session, mri(*FLOWS[4]), b"before..", attributes)
        wait(lambda: apps["far"].data(session), "it arrives", *apps.values())
        lab.gistds[who].kill()
        apps[who].close()
        lab.gistds.start(who, options=SHORT)
        apps[who] = lab.gistds.application(who)

        def arrives():
            # What a dead peer's socket swallowed is lost; GIST says so at most for reliable messages.
            apps["left"].send(session, mri(*FLOWS[4]), b"after...", attributes)
            return b"after..." in apps["far"].data(session)

        wait(arrives, lambda: f"{apps['left'].told[-5:]} {apps['left'].notified}", *apps.values())
        if who == "far":
            # Either its silence was noticed, or the new one answered a refresh first.
            wait(lambda: any(n.status == BAD and n.type in (ROUTING_STATUS, ROUTE_DELETION) for n in apps["left"].notified),
                 lambda: f"left learns of it: {apps['left'].notified}", apps["left"])

    @in_diamond
    def test_the_responder_over_datagrams(self, lab):
        self.goes_on_after_restart(lab, "far", IN_QUERY)

    @in_diamond
    def test_the_responder_over_an_association(self, lab):
        self.goes_on_after_restart(lab, "far", RELIABLE)

    @in_diamond
    def test_the_querier(self, lab):
        self.goes_on_after_restart(lab, "left", RELIABLE)

    @in_diamond
    def test_packets_pass_a_node_whose_gistd_is_dead(self, lab):
        lab.gistds.start("left", *PATH)
        self.assertEqual(lab.gistds.nodes(FLOWS[4][1]), list(PATH))
        lab.gistds["mid"].kill()
        until(lambda: lab.gistds.nodes(FLOWS[4][1]) == ["near", "far"], "mid is left out")
        lab.gistds.start("mid")
        self.assertEqual(lab.gistds.nodes(FLOWS[4][1]), list(PATH))
        rules = lab["mid"].run("iptables-save", "-t", "mangle").stdout
        self.assertEqual(rules.count("-A PREROUTING"), 1, rules)
        lab.gistds["mid"].stop()
        self.assertNotIn("netserv", lab["mid"].run("iptables-save", "-t", "mangle").stdout.lower())


    @in_diamond
    def test_packets_pass_a_node_whose_gistd_is_stopped(self, lab):
        """Neither process of it has to go on for that: the keeper lets pass what is not answered, its watchdog all."""
        lab.gistds.start("left", *PATH)
        keeper, *children = gistd_processes(lab.gistds["mid"])
        for stopped in ([pid for pid in children if not is_watchdog(pid)], [keeper]):
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            self.assertEqual(lab.gistds.nodes(FLOWS[4][1]), ["near", "far"])
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            until(lambda: lab.gistds.nodes(FLOWS[4][1]) == list(PATH), "mid is back")


def is_watchdog(pid):
    return "watchdog" in Path(f"/proc/{pid}/comm").read_text()


class Moved(unittest.TestCase):
    def route(self, lab, host, *route):
        lab[host].run("ip", *(["-6"] if ":" in "".join(route) else []), "route", "replace", *route)

    @in_diamond
    def test_a_change_of_the_queriers_own_route_is_followed_at_once(self, lab):
        """No refresh is due for a long time: the kernel's notice is what moves the session."""
        lab.gistds.start("near", "mid", "detour")
        for version, via in ((4, "10.3.0.2"), (6, "fd00:3::2")):
            with case(version):
                apps = {name: lab.gistds.application(name) for name in ("near", "mid", "detour")}
                flow, session = mri(*FLOWS[version]), new_session()
                apps["near"].send(session, flow, b"before..")
                wait(lambda: apps["mid"].data(session) and apps["near"].notified, "it goes over mid", *apps.values())
                self.route(lab, "near", "default", "via", via)
                wait(lambda: [n.status for n in apps["near"].notified if n.type == ROUTING_STATUS] == [GOOD, TENTATIVE, GOOD],
                     lambda: f"near finds the new way: {apps['near'].notified}", *apps.values())
                apps["near"].send(session, flow, b"after...")
                wait(lambda: b"after..." in apps["detour"].data(session), "it goes over the detour", *apps.values())
                self.assertNotIn(b"after...", apps["mid"].data(session))
                for each in apps.values():
                    each.close()

    @in_diamond
    def test_a_change_further_on_is_found_by_the_refresh(self, lab):
        lab.gistds.start("left", "mid", "detour", options=SHORT)
        apps = {name: lab.gistds.application(name) for name in ("left", "mid", "detour")}
        flow, session = mri(*FLOWS[4]), new_session()
        apps["left"].send(session, flow, b"before..")
        wait(lambda: apps["mid"].data(session), "it goes over mid", *apps.values())
        self.route(lab, "near", "default", "via", "10.3.0.2")
        wait(lambda: len({n.sii for n in apps["left"].notified if n.status == GOOD}) == 2, "left has a new peer", *apps.values())
        apps["left"].send(session, flow, b"after...")
        wait(lambda: b"after..." in apps["detour"].data(session), "it goes over the detour", *apps.values())

    @in_diamond
    def test_a_link_that_goes_and_comes_back(self, lab):
        lab.gistds.start("near", "far", options=SHORT)
        near, far = lab.gistds.application("near"), lab.gistds.application("far")
        flow, session = mri(*FLOWS[4]), new_session()
        near.send(session, flow, b"before..")
        wait(lambda: far.data(session), "it arrives", near, far)
        lab["near"].run("ip", "link", "set", "eth1", "down")
        lab["near"].run("ip", "link", "set", "eth1", "up")
        self.route(lab, "near", "default", "via", "10.2.0.2")

        def arrives():
            near.send(session, flow, b"after...")
            return b"after..." in far.data(session)

        wait(arrives, lambda: f"it arrives again: {near.told[-5:]} {near.notified}", near, far)


if __name__ == "__main__":
    main()
