#!/usr/bin/python3
"""gistd's other ways to route a message: past routing state to a peer known by its SII-handle (RFC 5971, 7.1.4), and
towards the edge by the loose-end method (5.8.2)."""

import socket
import unittest

from gistd_support import (EXPLICITLY_ROUTED, GOOD, IN_QUERY, NO_ENCAPSULATION, RELIABLE, ROUTE_DELETION, ROUTING_STATUS, SENT,
                           UNKNOWN_SII, VALIDATED, Capture, case, in_diamond, is_upstream, loose_end, main, mri, new_session, wait)

FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
FLOWS = {4: ("10.1.0.2", "10.6.0.2"), 6: ("fd00:1::2", "fd00:6::2")}


class BySiiHandle(unittest.TestCase):
    def moved(self, lab, attributes):
        """A session went from mid to the detour. Returns near's application and the others', and mid's handle."""
        lab.gistds.start("near", "mid", "detour")
        apps = {name: lab.gistds.application(name) for name in ("near", "mid", "detour")}
        near, flow, session = apps["near"], mri(*FLOWS[4]), new_session()
        near.send(session, flow, b"before..", attributes)
        wait(lambda: apps["mid"].data(session) and near.notified, "it goes over mid", *apps.values())
        lab["near"].run("ip", "route", "replace", "default", "via", "10.3.0.2")
        wait(lambda: any(n.type == ROUTE_DELETION for n in near.notified), lambda: f"mid is off the path: {near.notified}",
             *apps.values())
        old = next(n.sii for n in near.notified if n.type == ROUTE_DELETION)
        first = next(n.sii for n in near.notified if n.type == ROUTING_STATUS and n.status == GOOD)
        self.assertEqual(old, first)
        return apps, session, flow, old

    @in_diamond
    def test_the_peer_that_is_no_longer_on_the_path_can_be_told(self, lab):
        """As an application does to tear down what it left there."""
        for attributes in (IN_QUERY, RELIABLE):
            with case(attributes):
                apps, session, flow, old = self.moved(lab, attributes)
                near, mid, detour = (apps[name] for name in ("near", "mid", "detour"))
                handle = near.send(session, flow, b"farewell", 0, sii=old)
                wait(lambda: near.status_of(handle) and b"farewell" in mid.data(session), "mid gets it", *apps.values())
                self.assertEqual(near.status_of(handle).error, SENT)
                came = mid.received[-1]
                self.assertEqual(came.attributes & (EXPLICITLY_ROUTED | VALIDATED), EXPLICITLY_ROUTED)
                near.send(session, flow, b"go on...")
                wait(lambda: b"go on..." in detour.data(session), "the session goes on over the detour", *apps.values())
                self.assertNotIn(b"farewell", detour.data(session))
                for each in apps.values():
                    each.close()
                for name in apps:
                    lab.gistds[name].stop()
                lab["near"].run("ip", "route", "replace", "default", "via", "10.2.0.2")

    @in_diamond
    def test_a_handle_that_was_never_given_out(self, lab):
        lab.gistds.start("near", "mid")
        near = lab.gistds.application("near")
        handle = near.send(new_session(), mri(*FLOWS[4]), b"nowhere.", 0, sii=4711)
        wait(lambda: near.status_of(handle), "it is told", near)
        self.assertEqual(near.status_of(handle).error, UNKNOWN_SII)


class LooseEnd(unittest.TestCase):
    @in_diamond
    def test_a_node_towards_the_edge_is_found(self, lab):
        """From far in the direction of left: the first node there answers, and a session runs over the state."""
        # RFC5971: 5.8.2.2-1
        lab.gistds.start("far", "mid", "near")
        for version in (4, 6):
            with case(version):
                far, mid, near = (lab.gistds.application(name) for name in ("far", "mid", "near"))
                edge, me = {4: ("10.1.0.2", "10.4.0.1"), 6: ("fd00:1::2", "fd00:4::1")}[version]
                session, flow = new_session(), loose_end(me, edge)
                sent = Capture(lab["far"], "eth0")
                handle = far.send(session, flow, b"who is there", RELIABLE)
                wait(lambda: mid.data(session) and far.status_of(handle), lambda: f"mid gets it: {far.told}", far, mid, near)
                self.assertEqual((far.status_of(handle).error, near.data(session)), (SENT, []))
                self.assertEqual(mid.received[-1].flow, flow)
                (query, *_) = sent.gist()
                self.assertEqual(query[16:20] if version == 4 else query[24:40], socket.inet_pton(FAMILY[version], edge))
                back = mid.send(session, loose_end(me, edge, upstream=True), b"it is me", RELIABLE)
                wait(lambda: far.data(session) and mid.status_of(back), "the answer arrives", far, mid, near)
                self.assertFalse(is_upstream(flow))
                for each in (far, mid, near):
                    each.close()

    @in_diamond
    def test_there_is_no_way_to_begin_upstream(self, lab):
        lab.gistds.start("far")
        far = lab.gistds.application("far")
        handle = far.send(new_session(), loose_end("10.1.0.2", "10.4.0.1", upstream=True), b"nowhere.")
        wait(lambda: far.status_of(handle), "it is told", far)
        self.assertEqual(far.status_of(handle).error, NO_ENCAPSULATION)


if __name__ == "__main__":
    main()
