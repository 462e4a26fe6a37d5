#!/usr/bin/python3
"""gistd on a path whose middle carries less than its operator said: the Query that was too big goes again without what it
carried, which then takes an association."""

import unittest

from gistd_support import IN_QUERY, SENT, Capture, in_diamond, main, mri, new_session, wait


class PathMtu(unittest.TestCase):
    @in_diamond
    def test_a_query_that_is_too_big_goes_again_smaller(self, lab):
        # RFC5971: 4.3.3-4
        lab["near"].run("ip", "link", "set", "eth1", "mtu", "700")
        lab.gistds.start("left", options=["--path-mtu", "1400"])
        lab.gistds.start("far")
        seen = Capture(lab["left"], "eth0")
        sender, receiver = lab.gistds.application("left"), lab.gistds.application("far")
        session, text = new_session(), b"word" * 225
        handle = sender.send(session, mri("10.1.0.2", "10.6.0.2"), text, IN_QUERY)
        wait(lambda: receiver.data(session) and sender.status_of(handle), "the message arrives", sender, receiver)
        self.assertEqual(receiver.data(session), [text])
        self.assertEqual(sender.status_of(handle).error, SENT)
        queries = seen.gist(0)
        self.assertGreater(len(queries[0]), 900, "as large as the operator said")
        self.assertLess(max(map(len, queries[1:])), 700)


if __name__ == "__main__":
    main()
