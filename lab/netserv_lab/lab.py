"""A lab that is up: the network, the nodes on its NetServ routers, and publishers. The whole of it ends with its
supervisor (supervise.py); leaving the `with` block only stops the daemons in order."""

import os
from pathlib import Path

from . import kernel, node, publisher
from .network import Network
from .signalling import Signalling


class Lab:
    def __init__(self, plan, folder, build=None, publishers=None, plane=None):
        """`plane`: of all nodes, before what the topology says of each."""
        self.folder = folder
        self.build = build
        self.network = Network(plan, folder)
        self.publishers = {}
        self.nodes = {}
        if build:
            programs = self._programs()
            self.publishers = self._publishers(publishers or {"alice": "publisher"})
            self.nodes = {name: node.Node(self.network[name], build, folder / "nodes" / name, self.publishers.values(),
                                          plane or host.plane)
                          for name, host in plan.hosts.items() if host.netserv}
            for each in self.nodes.values():
                each.program_folder = programs
            for name, host in plan.hosts.items():
                if host.signalling:
                    self.network[name].signalling = self._signalling(name)

    def _programs(self):
        """The build's programs where a container's own user can reach them: nobody else may look into /root."""
        programs = self.folder / "programs"
        programs.mkdir()
        kernel.mount(str(self.build.folder / "bin"), str(programs), "", kernel.MS_BIND)
        return programs

    def _signalling(self, name):
        run_folder = self.nodes[name].run_folder if name in self.nodes else self.network[name].folder / "signalling"
        return Signalling(self.network[name], self.build, run_folder, initiator=name not in self.nodes)

    def _publishers(self, wanted):
        return {name: publisher.Publisher(self.network[host], self.build, name) for name, host in wanted.items()
                if host in self.network.hosts}

    def __enter__(self):
        return self

    def start(self):
        """All nodes and all signalling: step by step on all hosts, so that they wait for each other's work only."""
        nodes, signalling = list(self.nodes.values()), self.signalling
        for each in nodes:
            each.write_config()
            each.launch_forwarder()
        for each in signalling:
            each.start_gistd()
        for each in nodes:
            each.wait_for_forwarder()
            each.launch_netservd()
        for each in signalling:
            each.start_nslpd()
        for each in nodes:
            each.wait_for_netservd()
        for each in signalling:
            each.wait_until_ready()

    @property
    def signalling(self):
        """Of all hosts that have it."""
        return [host.signalling for host in self.network.hosts.values() if host.signalling]

    def __exit__(self, *_):
        for each in self.signalling:
            each.stop()
        for each in self.nodes.values():
            for process in (each.netservd, each.forwarder):
                if process:
                    process.stop()

    def __getitem__(self, host):
        return self.network[host]

    @property
    def node(self):
        """The node, where there is one only."""
        (only,) = self.nodes.values()
        return only

    @property
    def publisher(self):
        return next(iter(self.publishers.values()))

    def print_logs(self, lines=40):
        """The end of every log, for a run that failed."""
        # os.walk() lets folders go meanwhile, Path.rglob() does not.
        for log in sorted(Path(at) / name for at, _, names in os.walk(self.folder) for name in names if name.endswith(".log")):
            text = log.read_text(errors="replace").splitlines()
            if text:
                print(f"---- {log.relative_to(self.folder)}")
                print("\n".join(text[-lines:]))
