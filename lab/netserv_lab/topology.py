"""A topology is a TOML file: which hosts there are, how they are linked, which routers run NetServ.

    description = "one line"
    routing = "shortest"     # every host gets routes to every network (absent: only those that it names)
    [hosts.client]
    routes = ["default via 10.1.0.1", "default via fd00:1::1"]  # go before those of `routing`
    [hosts.publisher]
    signalling = true        # runs gistd and nslpd; without a node, only to send; "gist": gistd alone
    [hosts.edge]
    router = true            # forwards IPv4 and IPv6
    netserv = true           # runs a NetServ node; "control": one without a forwarder
    plane = "netfilter"      # its forwarding plane: auto (the default), xdp or netfilter
    nat = "eth1"             # packets that leave there get its address as source
    nat_in = ["-p tcp --dport 80 -j DNAT --to 192.168.0.2"]  # iptables rules for what comes in there
    gistd = ["--tls-only"]   # further options of its gistd, and of its nslpd
    nslpd = ["--behind-nat", "198.51.100.1"]
    [[links]]
    ends = ["client 10.1.0.2/24 fd00:1::2/64", "edge 10.1.0.1/24 fd00:1::1/64"]

Interfaces are called eth0, eth1, ... on each host in the order of the links.
"""

import ipaddress
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from . import routing

PLANES = ("auto", "xdp", "netfilter")
FOLDER = Path(__file__).resolve().parent.parent / "topologies"


class BadTopology(Exception):
    pass


@dataclass
class End:
    host: str
    interface: str
    addresses: list  # of ipaddress interfaces


@dataclass
class Host:
    name: str
    router: bool = False
    netserv: bool | str = False  # True, False, "control"
    signalling: bool | str = False  # True, False, "gist"
    plane: str = "auto"
    nat: str = ""
    nat_in: list = field(default_factory=list)
    gistd: list = field(default_factory=list)
    nslpd: list = field(default_factory=list)
    routes: list = field(default_factory=list)
    ends: list = field(default_factory=list)

    def address(self, version=4):
        for end in self.ends:
            for a in end.addresses:
                if a.version == version:
                    return str(a.ip)
        raise BadTopology(f"{self.name}: no IPv{version} address")


@dataclass
class Topology:
    name: str
    description: str
    hosts: dict
    links: list  # of (End, End)


def find(name):
    """A topology by its name in lab/topologies, or by path."""
    path = Path(name)
    if path.suffix != ".toml":
        path = FOLDER / f"{name}.toml"
    return load(path)


def names():
    return sorted(p.stem for p in FOLDER.glob("*.toml"))


def load(path):
    try:
        data = tomllib.loads(Path(path).read_text())
    except FileNotFoundError:
        raise BadTopology(f"{path}: no such topology; there are: {', '.join(names())}") from None
    except tomllib.TOMLDecodeError as e:
        raise BadTopology(f"{path}: {e}") from None
    try:
        return _build(Path(path).stem, data)
    except BadTopology as e:
        raise BadTopology(f"{path}: {e}") from None


def _build(name, data):
    unknown = set(data) - {"description", "routing", "hosts", "links"}
    if unknown:
        raise BadTopology(f"unknown key {sorted(unknown)[0]}")
    hosts = {}
    for host, keys in data.get("hosts", {}).items():
        unknown = set(keys) - {"router", "netserv", "signalling", "plane", "nat", "nat_in", "gistd", "nslpd", "routes"}
        if unknown:
            raise BadTopology(f"hosts.{host}: unknown key {sorted(unknown)[0]}")
        if len(host) > 15 or not host.replace("-", "").isalnum():
            raise BadTopology(f"hosts.{host}: a name is up to 15 letters, digits and dashes")
        if keys.get("plane", "auto") not in PLANES:
            raise BadTopology(f"hosts.{host}: plane is one of {', '.join(PLANES)}")
        if keys.get("netserv", False) not in (True, False, "control"):
            raise BadTopology(f"hosts.{host}: netserv is true, false or \"control\"")
        if keys.get("signalling", False) not in (True, False, "gist"):
            raise BadTopology(f"hosts.{host}: signalling is true, false or \"gist\"")
        hosts[host] = Host(host, **keys)
    links = []
    for number, link in enumerate(data.get("links", [])):
        ends = link.get("ends", [])
        if len(ends) != 2:
            raise BadTopology(f"link {number}: needs two ends")
        links.append(tuple(_end(hosts, text, number) for text in ends))
    for name, host in hosts.items():
        if host.nat and host.nat not in (end.interface for end in host.ends):
            raise BadTopology(f"hosts.{name}: nat: no interface {host.nat}")
        if host.nat_in and not host.nat:
            raise BadTopology(f"hosts.{name}: nat_in needs nat")
    if data.get("routing", "shortest") != "shortest":
        raise BadTopology("routing is \"shortest\" or absent")
    if "routing" in data:
        for name, routes in routing.shortest(hosts, links).items():
            hosts[name].routes = routes + hosts[name].routes
    return Topology(name, data.get("description", ""), hosts, links)


def _end(hosts, text, number):
    host, *addresses = text.split()
    if host not in hosts:
        raise BadTopology(f"link {number}: no host {host}")
    try:
        parsed = [ipaddress.ip_interface(a) for a in addresses]
    except ValueError as e:
        raise BadTopology(f"link {number}: {e}") from None
    end = End(host, f"eth{len(hosts[host].ends)}", parsed)
    hosts[host].ends.append(end)
    return end
