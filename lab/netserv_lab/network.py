"""Builds a topology from network namespaces and veth pairs.

Namespaces are named after the run, interfaces live inside them only, so two labs never meet. Neighbours are
permanent (no test waits for ARP), addresses skip duplicate detection, and transmit checksum offload is off.
"""

import os
import subprocess

from . import kernel, topology
from .process import Process


def ip(*args, host=None):
    command = ["ip", *(["-n", host.namespace] if host else []), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Host:
    """One network namespace, with the processes in it."""

    def __init__(self, spec, run, folder):
        self.spec = spec
        self.name = spec.name
        self.namespace = f"{run}-{spec.name}"
        self.folder = folder / spec.name
        self.folder.mkdir()
        self.signalling = None  # of a lab that runs it there (signalling.py)
        ip("netns", "add", self.namespace)
        self.fd = os.open(f"/run/netns/{self.namespace}", os.O_RDONLY | os.O_CLOEXEC)
        ip("link", "set", "lo", "up", host=self)

    def address(self, version=4):
        return self.spec.address(version)

    def run(self, *argv, check=True, timeout=120, **more):
        """Runs a command here to its end; returns the CompletedProcess with text output."""
        more = more if "input" in more else {"stdin": subprocess.DEVNULL, **more}
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout,
                              preexec_fn=lambda: kernel.setns(self.fd), **more)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, argv))}: status {done.returncode}\n"
                               f"{done.stdout}{done.stderr}")
        return done

    def start(self, name, *argv, **more):
        """Starts a process here; its output goes to NAME.log in the host's folder."""
        return Process(f"{self.name}/{name}", argv, self.folder / f"{name}.log", network=self.fd, **more)

    def set_sysctl(self, key, value):
        path = "/proc/sys/" + key.replace(".", "/")
        self.run("/bin/sh", "-c", f"echo {value} > {path}")

    def udp_counters(self, version=4):
        """This host's own UDP counters, by name: InDatagrams, OutDatagrams, NoPorts, RcvbufErrors, ..."""
        if version == 6:
            lines = self.run("cat", "/proc/net/snmp6").stdout.splitlines()
            return {k[4:]: int(v) for k, v in (line.split() for line in lines) if k.startswith("Udp6")}
        lines = [line.split()[1:] for line in self.run("cat", "/proc/net/snmp").stdout.splitlines()
                 if line.startswith("Udp:")]
        return dict(zip(lines[0], map(int, lines[1])))

    def interface_counters(self, interface):
        text = self.run("cat", "/proc/net/dev").stdout
        for line in text.splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == interface:
                n = numbers.split()
                return {"received": int(n[1]), "received_dropped": int(n[3]), "sent": int(n[9]), "sent_dropped": int(n[11])}
        raise RuntimeError(f"{self.name}: no interface {interface}")


class Network:
    def __init__(self, plan: topology.Topology, folder):
        self.topology = plan
        self.folder = folder
        (folder / "hosts").mkdir(exist_ok=True)
        self.hosts = {name: Host(spec, folder.name, folder / "hosts") for name, spec in plan.hosts.items()}
        self._macs = {}  # (host, interface) -> address
        for number, link in enumerate(plan.links):
            self._link(number, *link)
        for host in self.hosts.values():
            self._route(host)

    def __getitem__(self, name):
        return self.hosts[name]

    def _link(self, number, a, b):
        macs = [f"02:00:00:{number >> 8:02x}:{number & 255:02x}:{side:02x}" for side in (1, 2)]
        ip("link", "add", a.interface, "netns", self.hosts[a.host].namespace, "address", macs[0], "type", "veth",
           "peer", "name", b.interface, "netns", self.hosts[b.host].namespace, "address", macs[1])
        for end in (a, b):
            host = self.hosts[end.host]
            for address in end.addresses:
                ip("address", "add", address, "dev", end.interface, *(["nodad"] if address.version == 6 else []),
                   host=host)
            with kernel.network_of(host.fd):
                kernel.transmit_checksums_in_software(end.interface)
            ip("link", "set", end.interface, "up", host=host)
            with kernel.network_of(host.fd):
                kernel.receive_offload(end.interface)
        for end, mac in zip((a, b), macs):
            self._macs[end.host, end.interface] = mac
        for end, peer in ((a, b), (b, a)):
            self._meet(end, peer)

    def _meet(self, end, peer):
        for address in peer.addresses:
            ip("neighbour", "replace", address.ip, "lladdr", self._macs[peer.host, peer.interface], "dev", end.interface,
               "nud", "permanent", host=self.hosts[end.host])

    def link_between(self, a, b):
        """The two ends of a link, that of host `a` first."""
        for link in self.topology.links:
            for end, peer in (link, link[::-1]):
                if (end.host, peer.host) == (a, b):
                    return end, peer
        raise RuntimeError(f"no link between {a} and {b}")

    def cut(self, a, b):
        """Takes the link down at host `a`; `b` sees its carrier go."""
        end, _ = self.link_between(a, b)
        ip("link", "set", end.interface, "down", host=self.hosts[a])

    def mend(self, a, b):
        """Undoes cut(). What the kernel forgot at `a` comes back: addresses, neighbours, routes."""
        end, peer = self.link_between(a, b)
        host = self.hosts[a]
        ip("link", "set", end.interface, "up", host=host)
        for address in end.addresses:
            if address.version == 6:
                ip("address", "replace", address, "dev", end.interface, "nodad", host=host)
        self._meet(end, peer)
        self._add_routes(host)

    def _route(self, host):
        if host.spec.router:
            host.set_sysctl("net.ipv4.ip_forward", 1)
            host.set_sysctl("net.ipv6.conf.all.forwarding", 1)
            # A new namespace has this machine's own; which plane a node takes shall not depend on that.
            host.run("/bin/sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done")
        self._add_routes(host)
        if host.spec.nat:
            host.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", host.spec.nat, "-j", "MASQUERADE")
            for rule in host.spec.nat_in:
                host.run("iptables", "-t", "nat", "-A", "PREROUTING", "-i", host.spec.nat, *rule.split())

    @staticmethod
    def _add_routes(host):
        for version in (4, 6):
            routes = [route for route in host.spec.routes if (":" in route) == (version == 6)]
            if routes:
                host.run("ip", f"-{version}", "-batch", "-", input="".join(f"route replace {r}\n" for r in routes))

