#!/usr/bin/python3
"""systemd's units: the daemons are siblings, and containers outlive them all."""

import unittest
from pathlib import Path

UNITS = Path(__file__).resolve().parent.parent / "packaging" / "systemd"
DAEMONS = ("netservd", "netserv-forwarder", "netserv-gistd", "netserv-nslpd")
# One that ends, or is restarted, takes along those that say this of it.
BINDING = ("Requires", "Requisite", "BindsTo", "PartOf", "PropagatesStopTo", "StopPropagatedFrom", "Conflicts")


def unit(name):
    """{section: {key: [values]}}"""
    sections = {}
    for line in (UNITS / name).read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            section.setdefault(key, []).append(value)
    return sections


class Units(unittest.TestCase):
    def test_containers_outlive_netservd(self):
        service = unit("netservd.service")["Service"]
        self.assertEqual(service["KillMode"], ["process"], "the containers in its control group are not ended with it")
        self.assertEqual(service["Delegate"], ["yes"], "their control groups are its own to make")
        self.assertEqual(service["RuntimeDirectoryPreserve"], ["yes"], "their control sockets stay")

    def test_none_ends_with_another(self):
        self.assertEqual({f"{d}.service" for d in DAEMONS}, {path.name for path in UNITS.glob("*.service")})
        for daemon in DAEMONS:
            settings = unit(f"{daemon}.service")["Unit"]
            bound = {other for key in BINDING for value in settings.get(key, []) for other in value.split()}
            self.assertEqual({b for b in bound if b.endswith(".service")}, set(), daemon)

    def test_each_comes_back(self):
        for daemon in DAEMONS:
            self.assertEqual(unit(f"{daemon}.service")["Service"]["Restart"], ["always"], daemon)

    def test_rings_lie_where_nothing_can_become_code(self):
        options = unit("run-netserv-rings.mount")["Mount"]["Options"][0].split(",")
        self.assertLessEqual({"nosuid", "nodev", "noexec"}, set(options))


if __name__ == "__main__":
    unittest.main()
