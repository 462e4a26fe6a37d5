"""A NetServ node on a router of the lab: its forwarder and netservd, started, killed and asked by scenarios.

Everything of the node lies in one folder of the run: configuration, state, cache, run folder. The daemons are
siblings, as under systemd: killing one leaves the others, and the containers, alone.
"""

import json
import os
import signal
import socket
from pathlib import Path

from . import config, kernel
from .waiting import Expected, expect, until


# Options of a forwarder that waits for containers, and is waited for, though the machine stands still for a moment.
PATIENT = ("--stall-ms", "20000", "--heartbeat-ms", "20000")


class CommandFailed(Expected):
    """The netserv command ended with a status other than 0."""

    def __init__(self, argv, done):
        super().__init__(f"{' '.join(map(str, argv))}: status {done.returncode}\n{done.stdout}{done.stderr}")
        self.status = done.returncode
        self.text = done.stdout + done.stderr


class Node:
    def __init__(self, host, build, folder, publishers=(), plane="auto"):
        """`plane`: the configuration's; what the node then takes is in status()."""
        self.host = host
        self.name = host.name
        self.build = build
        self.folder = folder
        self.publishers = list(publishers)
        self.plane = plane
        self.forwards = host.spec.netserv != "control"
        self.bypass = False
        self.workers = 1
        self.forwarder_options = ()
        self.fetch_seconds = 30  # at most, for one download
        self.withhold = []  # building blocks
        self.program_folder = None  # of the helpers; none: beside netservd
        self.run_folder = folder / "run"
        self.state_folder = folder / "state"
        self.cache_folder = folder / "cache"
        self.ring_folder = self.run_folder / "rings"
        for path in (self.run_folder, self.state_folder, self.cache_folder, self.ring_folder):
            path.mkdir(parents=True)
        kernel.mount("rings", str(self.ring_folder), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC,
                     "mode=755")
        self.ncm_socket = self.run_folder / "ncm.sock"
        self.admin_socket = self.run_folder / "admin.sock"
        self.config = folder / "netservd.toml"
        self.metrics_address = "127.0.0.1:9470"
        self.forwarder = None
        self.netservd = None

    # The daemons.

    def start(self):
        self.write_config()
        self.start_forwarder()
        self.start_netservd()
        return self

    def write_config(self):
        self.config.write_text(config.text(self))

    def start_forwarder(self):
        self.launch_forwarder()
        self.wait_for_forwarder()

    def start_netservd(self):
        self.launch_netservd()
        self.wait_for_netservd()

    def launch_forwarder(self):
        if self.forwards:
            self.forwarder = self.host.start("forwarder", self.build.program("netserv-forwarder"), "--config", self.config,
                                             *self.forwarder_options)

    def wait_for_forwarder(self):
        if self.forwards:
            self.forwarder.wait_for_line("listening on")  # a connection to look would replace netservd's

    def launch_netservd(self):
        self.netservd = self.host.start("netservd", self.build.program("netservd"), "--config", self.config)

    def wait_for_netservd(self):
        for path in (self.ncm_socket, self.admin_socket):
            self._wait_for_socket(self.netservd, path)
        if self.forwards:
            until(lambda: self.status()["forwarder"] == "connected", lambda: f"netservd meets the forwarder: {self.status()}")

    @staticmethod
    def _wait_for_socket(process, path):
        def listens():
            expect(process.running(), f"{process.name} ended with status {process.status}:\n{process.tail()}")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                try:
                    s.connect(str(path))
                except OSError:
                    return False
            return True

        until(listens, lambda: f"{process.name} listens on {path}; it wrote:\n{process.tail()}")

    def reload(self):
        self.netservd.signal(signal.SIGHUP)

    # The operator's and the publisher's command.

    def command(self, *arguments, host=None, check=True, timeout=120):
        """Runs `netserv ARGUMENTS` (on `host`, by default the node's); returns the completed process."""
        argv = [self.build.program("netserv"), *arguments]
        sockets = {"NETSERV_SOCKET": str(self.ncm_socket), "NETSERV_ADMIN_SOCKET": str(self.admin_socket)}
        done = (host or self.host).run(*argv, check=False, timeout=timeout, env={**os.environ, **sockets})
        if check and done.returncode != 0:
            raise CommandFailed(argv, done)
        return done

    def json(self, *arguments, **more):
        """The command's answer: the last line that it prints with --json."""
        done = self.command(*arguments, "--json", **more)
        try:
            return json.loads(done.stdout.splitlines()[-1])
        except (json.JSONDecodeError, IndexError):
            raise Expected(f"netserv {' '.join(map(str, arguments))} --json printed no JSON: "
                           f"{done.stdout!r} {done.stderr!r}") from None

    def answer(self, *arguments, **more):
        """A publisher's request; the node's answer: class, code, object, text, state, ..."""
        return self.json(*arguments, **more)

    def ncm(self, text):
        """Sends raw NCM text to netservd's socket and closes the sending side; returns all that comes back."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(30)
            s.connect(str(self.ncm_socket))
            s.sendall(text if isinstance(text, bytes) else text.encode())
            s.shutdown(socket.SHUT_WR)
            parts = []
            while part := s.recv(65536):
                parts.append(part)
        return b"".join(parts).decode()

    def status(self):
        return self.json("node", "status")

    def modules(self):
        """What is installed: list of dicts with publisher, id, state, ..."""
        return self.json("node", "modules")["modules"]

    def module(self, module_id):
        return next((m for m in self.modules() if m["id"] == module_id), None)

    def state_of(self, module_id):
        module = self.module(module_id)
        return module["state"] if module else None

    def wait_for_state(self, module_id, state, patience=60.0):
        until(lambda: self.state_of(module_id) == state,
              lambda: f"{module_id} becomes {state}; it is {self.module(module_id)}", patience)

    def containers(self):
        return self.json("node", "containers")["containers"]

    def counters(self):
        """The forwarder's packet counters since its start (src/forward/counters.h), as of the last second."""
        return self.status()["counters"]

    def counters_now(self):
        """The same, asked of the forwarder after this call."""
        seen = self.status()["counters_report"]
        until(lambda: self.status()["counters_report"] >= seen + 2, "the forwarder reports its counters")
        return self.counters()

    def metrics(self):
        """Prometheus metrics: {name{labels}: value}."""
        text = self.host.run("curl", "-sS", f"http://{self.metrics_address}/metrics").stdout
        values = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    # What it leaves behind.

    def rules(self):
        """All netfilter rules on the router, both families."""
        found = []
        for tool in ("iptables-save", "ip6tables-save"):
            found += [line for line in self.host.run(tool).stdout.splitlines() if line.startswith(("-A", ":"))]
        return found

    def container_processes(self):
        """Pids of the first processes of all containers in the lab, whatever netservd knows of them; of the living ones."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if not entry.name.isdigit():
                    continue
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(") ")
                if name == "netserv-contain" and rest[0] not in "ZX":
                    found.append(int(entry.name))
            except OSError:
                pass  # it has ended meanwhile
        return sorted(found)

    def interfaces(self):
        done = self.host.run("ip", "-j", "link", "show")
        return sorted(link["ifname"] for link in json.loads(done.stdout))
