#!/usr/bin/python3
"""The paper's four sites: a publisher reaches every NetServ router on the way to a user, whose addresses it does not
know, through routers that run nothing of ours; and the same path with another way back, with a NAT, and twenty long."""

import unittest

import support
from netserv_lab.waiting import until
from support import KEEPALIVE, NETMONITOR, in_lab

SITES = ["west", "middle", "east"]
SEND = ("import socket,sys; to=sys.argv[1]; socket.socket(10 if ':' in to else 2,2)"
        ".sendto(sys.argv[3].encode(),(to,int(sys.argv[2])))")


def filter_of(lab, port="5060"):
    return "--filter-proto", "udp", "--filter-port", port, "--filter-dst", lab["server"].address()


def deploy(lab, address, module_id=NETMONITOR, *options):
    """A SETUP along the path, its module on the publisher's web server."""
    file = module_id.split("_")[0].split(".")[-1].lower()
    lab.publisher.serve(file)
    return lab.publisher.setup_toward(address, module_id, f"{file}.wasm", *filter_of(lab), *options, check=False)


def send_until(lab, seen, what, version=4):
    """Packets from the user to the server until seen(): one alone may get lost, or pass by a module."""
    def look():
        lab["user"].run("/usr/bin/python3", "-c", SEND, lab["server"].address(version), "5060", "x")
        return seen()

    until(look, what, every=0.2)


def seen_by_modules(node, now=False):
    counters = node.counters_now() if now else node.counters()
    return counters.get("observer_copies", 0) + support.processed_by_modules(node, counters)


def watched(lab):
    """Packets that modules have had, or copies of them, by node."""
    return {name: seen_by_modules(node) for name, node in lab.nodes.items()}


class FourSites(unittest.TestCase):
    @in_lab("sites")
    def test_setup_toward_the_user_deploys_on_every_netserv_router(self, lab):
        user = lab["user"].address()
        for module_id in (NETMONITOR, KEEPALIVE):
            answer = deploy(lab, user, module_id)
            self.assertEqual(answer.names, SITES, answer)
            self.assertEqual(answer.each("state"), ["ACTIVE"] * 3, answer)
            self.assertEqual((answer.status, answer.json["outcome"]), (0, "all"))

        # Each entry's time is the round trip to that node: it holds those of the nodes before it.
        answer = lab.publisher.toward(user, "probe", "--kind", "node")
        self.assertEqual(answer.names, SITES, answer)
        self.assertEqual(answer.each("rtt_ms"), sorted(answer.each("rtt_ms")), answer)
        self.assertGreater(answer.each("rtt_ms")[-1], 0, answer)
        self.assertEqual(answer.each("address"), [n.host.address() for n in lab.nodes.values()])

        answer = lab.publisher.toward(lab["user"].address(6), "probe", "--kind", "node")
        self.assertEqual((answer.names, answer.status), (SITES, 0), answer)

        send_until(lab, lambda: all(watched(lab).values()), lambda: f"the modules see a packet everywhere: {watched(lab)}")

        answer = lab.publisher.toward(user, "remove", KEEPALIVE)
        self.assertEqual(answer.each("code"), [202] * 3, answer)

    @in_lab("sites")
    def test_a_message_larger_than_gist_carries_at_once_reaches_every_node(self, lab):
        long = "v" * 2025
        headers = [
            "--url", lab.publisher.url(long), "--digest", "0" * 64,
            "--notification", lab.publisher.url(long), "--nodes", ",".join([*SITES, *(f"n{i}".ljust(63, "o") for i in range(60))]),
            "--dependencies", "teleport/1", "--filter-src", ",".join(f"10.100.200.{i}/32" for i in range(100, 164)),
            *[word for i in range(30) for word in ("--property", f"key{i}={'v' * 255}")]]
        self.assertGreater(sum(map(len, headers)), 17000)
        answer = lab.publisher.toward(lab["user"].address(), "setup", NETMONITOR, *headers)
        # They read it all, and refuse what it depends on.
        self.assertEqual((answer.names, answer.each("code")), (SITES, [516] * 3), answer)

    @in_lab("sites-detour")
    def test_the_way_back_of_data_is_not_the_way_of_the_answer(self, lab):
        user = lab["user"].address()
        answer = deploy(lab, user)
        self.assertEqual((answer.names, answer.status), (SITES, 0), answer)
        # What the user sends comes through DETOUR, which only a flow from the user's side can find.
        answer = lab.publisher.toward(user, "trigger", "probe", "--kind", "node")
        self.assertEqual(answer.names, ["east", "detour", "west"], answer)
        publisher = lab.publisher
        answer = publisher.toward(user, "trigger", "setup", NETMONITOR, "--url", publisher.url("netmonitor.wasm"), "--module-file",
                                  publisher.files / "netmonitor.wasm", *filter_of(lab))
        self.assertEqual((answer.names, answer.each("state"), answer.status), (["east", "detour", "west"], ["ACTIVE"] * 3, 0), answer)
        send_until(lab, lambda: watched(lab)["detour"], lambda: f"the module on the way back sees a packet: {watched(lab)}")

    @in_lab("sites-nat")
    def test_a_user_behind_a_nat_is_reached_by_the_nats_address(self, lab):
        access = lab["access"].address()
        answer = deploy(lab, access)
        self.assertEqual((answer.names, answer.status), (SITES, 0), answer)
        send_until(lab, lambda: all(watched(lab).values()), lambda: f"modules see what comes out of the NAT: {watched(lab)}")

    @in_lab("sites")
    def test_the_publisher_chooses_which_nodes_install(self, lab):
        middle = lab.nodes["middle"].host.address()
        for nodes, acting in (("last", ["east"]), ("first=2", ["west", "middle"]), (f"east,{middle}", ["middle", "east"])):
            answer = deploy(lab, lab["user"].address(), NETMONITOR, "--nodes", nodes)
            self.assertEqual((answer.names, answer.status), (SITES, 0), answer)
            self.assertEqual([n["node"] for n in answer.nodes if n["code"] != 102], acting, answer)
            installed = [name for name, node in lab.nodes.items() if node.module(NETMONITOR)]
            self.assertEqual(installed, acting, nodes)
            lab.publisher.toward(lab["user"].address(), "remove", NETMONITOR, check=False)
            until(lambda: not any(node.module(NETMONITOR) for node in lab.nodes.values()), "it is removed")

        # Conditional installation: nodes that lack what the module depends on are passed by, or refuse.
        for nodes, code in (("matching", 102), ("all", 516)):
            answer = deploy(lab, lab["user"].address(), NETMONITOR, "--nodes", nodes, "--dependencies", "packet/1,teleport/1")
            self.assertEqual(answer.each("code"), [code] * 3, answer)
        answer = deploy(lab, lab["user"].address(), NETMONITOR, "--nodes", "matching", "--dependencies", "packet/1")
        self.assertEqual((answer.each("state"), answer.status), (["ACTIVE"] * 3, 0), answer)

    @in_lab("sites", start=False)
    def test_where_nodes_differ_those_that_have_what_it_needs_install_it(self, lab):
        user = lab["user"].address()
        lab.nodes["middle"].withhold = ["counters/1"]
        lab.start()

        def outcome(nodes, needs):
            answer = deploy(lab, user, NETMONITOR, "--nodes", nodes, *(("--dependencies", needs) if needs else ()))
            self.assertEqual(answer.names, SITES, answer)
            installed = [name for name, node in lab.nodes.items() if node.module(NETMONITOR)]
            lab.publisher.toward(user, "remove", NETMONITOR, check=False)
            until(lambda: not any(node.module(NETMONITOR) for node in lab.nodes.values()), "it is removed")
            return answer.each("code"), answer.json["outcome"], answer.status, installed

        # A node that is passed by does not count; one that refuses does.
        self.assertEqual(outcome("matching", "packet/1,counters/1"), ([201, 102, 201], "all", 0, ["west", "east"]))
        self.assertEqual(outcome("matching", None), ([201, 102, 201], "all", 0, ["west", "east"]))  # its manifest says so
        self.assertEqual(outcome("all", "packet/1,counters/1"), ([201, 516, 201], "some", 6, ["west", "east"]))
        self.assertEqual(outcome("first=2", "packet/1,counters/1"), ([201, 516, 201], "some", 6, ["west", "east"]))
        self.assertEqual(outcome("matching", "packet/1,teleport/1"), ([102] * 3, "no node", 4, []))

    @in_lab("chain")
    def test_twenty_nodes_answer_in_the_order_of_the_path(self, lab):
        answer = lab.publisher.toward(lab["user"].address(), "probe", "--kind", "node")
        self.assertEqual(answer.names, [f"n{i:02}" for i in range(1, 21)], answer)
        self.assertEqual(set(answer.each("code")), {200}, answer)
        self.assertEqual(answer.each("rtt_ms"), sorted(answer.each("rtt_ms")), answer)


if __name__ == "__main__":
    support.main()
