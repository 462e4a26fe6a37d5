"""Generator, router and sink in namespaces: the generator and the sink on core 0, all that the router does on core 1,
so that the router is what limits the rate. trial() offers a rate and says what became of the packets.

The veths' NAPI is threaded (GRO keeps it there whatever XDP programs come and go) and pinned. The threads have
real-time priority: a veth holds 256 packets, which is less than another thread's turn at the core. So the forwarder has a
higher one, and the container the highest: what has been received is finished before more is, or under overload the core
would go into packets that are dropped later.
"""

import contextlib
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from netserv_lab import config, kernel
from netserv_lab.lab import Lab
from netserv_lab.waiting import until

from . import mlffr
from .quiet import Quiet

HERE = Path(__file__).resolve().parent.parent
PORT = 5060
LOAD_CORE, ROUTER_CORE = 0, 1
CALM_ATTEMPTS = 3
FAR_BEYOND = 0.2  # a loss that a calm trial may lessen, but not undo
SINK_PRIORITY, NAPI_PRIORITY, FORWARDER_PRIORITY, CONTAINER_PRIORITY = 10, 1, 2, 3


@dataclass
class Trial:
    offered: float  # a second, as the generator really did
    sent: int
    received: int
    forwarded: int  # received, and with a container's verdict where there is a container
    p50_us: float
    p99_us: float

    @property
    def loss(self):
        return 1 - self.forwarded / self.sent if self.sent else 1.0

    @property
    def rate(self):
        """Forwarded a second."""
        return self.offered * (1 - self.loss)

    @property
    def arrival_rate(self):
        """Arrived a second, with a verdict or without."""
        return self.offered * self.received / self.sent if self.sent else 0.0

    @property
    def bypassed(self):
        """Share that arrived without a verdict."""
        return (self.received - self.forwarded) / self.sent if self.sent else 0.0


class Talker:
    """A program that answers every line on its standard input with a line of JSON."""

    def __init__(self, host, core, *argv):
        def enter():
            kernel.die_with_parent(9)
            kernel.setns(host.fd)
            os.sched_setaffinity(0, {core})

        self._process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         preexec_fn=enter)
        self._answer()

    @property
    def pid(self):
        return self._process.pid

    def ask(self, line=""):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args[0]} ended with status {self._process.wait()}")
        return json.loads(line)

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)


class Testbed:
    def __init__(self, lab: Lab, threads, sink_port=PORT):
        self.lab = lab
        self.build = lab.build
        self.router = lab["router"]
        self._threads = threads
        self.container_core = ROUTER_CORE
        self.calm_attempts = CALM_ATTEMPTS
        self.trials = self.disturbed = 0  # made, and those in which other machines took cores or caches
        for host, interface, core, priority in (("router", "eth0", ROUTER_CORE, NAPI_PRIORITY), ("router", "eth1", ROUTER_CORE, NAPI_PRIORITY),
                                                ("sink", "eth0", LOAD_CORE, SINK_PRIORITY),
                                                ("generator", "eth0", LOAD_CORE, 0)):
            self._thread_napi(lab[host], interface, core, priority)
        self._sink = Talker(lab["sink"], LOAD_CORE, self.build.program("netserv-load"), "sink", "--interface", "eth0",
                            "--port", sink_port)
        probe = Talker(self.router, ROUTER_CORE, self.build.program("cache_probe"))
        self._quiet = Quiet(probe.ask, (LOAD_CORE, ROUTER_CORE))

    def _thread_napi(self, host, interface, core, priority):
        self._threads.look()
        with kernel.network_of(host.fd):
            subprocess.run(["ethtool", "-K", interface, "gro", "on"], check=True, capture_output=True)
        run_in_sysfs(host, f"echo 1 >class/net/{interface}/threaded")
        if self._threads.pin(core, priority) == 0:
            raise RuntimeError(f"{host.name} {interface}: no NAPI thread")

    def trial(self, rate, seconds, size, verdicts=None, payload=None, ports=1):
        """Offers `rate` (0: all that the generator has) for so long; `verdicts` counts what containers decided. What is lost
        while other machines of the host have the cores or their caches says nothing, so then it is tried again when they
        don't, and the least disturbed one counts; what is not lost says the more."""
        calmest, least = None, None
        for attempt in range(self.calm_attempts):
            if attempt > 0:
                self._quiet.wait()
            trial, disturbance = self._quiet.during(lambda: self._trial(rate, seconds, size, verdicts, payload, ports))
            self.trials += 1
            self.disturbed += disturbance > 0
            if least is None or disturbance < least:
                calmest, least = trial, disturbance
            if disturbance == 0 or trial.loss <= mlffr.LOSS or (attempt > 0 and calmest.loss > FAR_BEYOND):
                break
        return calmest

    def disturbance(self):
        return f"{self.disturbed} of {self.trials} trials were disturbed: other machines of the host had the cores or their caches"

    def _trial(self, rate, seconds, size, verdicts, payload, ports):
        before = verdicts() if verdicts else 0
        self._sink.ask("reset")
        sent = self.send(rate, seconds, size, payload, ports)
        counts = self._settled()
        decided = verdicts() - before if verdicts else counts["received"]
        return Trial(sent["sent"] / sent["seconds"], sent["sent"], counts["received"], min(counts["received"], decided),
                     counts["p50_us"], counts["p99_us"])

    def send(self, rate, seconds, size, payload=None, ports=1, flows=16):
        more = ("--payload", payload) if payload else ()
        done = self.lab["generator"].run(
            "taskset", "-c", LOAD_CORE, self.build.program("netserv-load"), "send", "--interface", "eth0", "--to-mac",
            "02:00:00:00:00:02", "--from-mac", "02:00:00:00:00:01", "--source", self.lab["generator"].address(),
            "--destination", self.lab["sink"].address(), "--port", PORT, "--ports", ports, "--rate", rate, "--seconds", seconds, "--size",
            size, "--flows", flows, *more)
        return json.loads(done.stdout.splitlines()[-1])

    def _settled(self):
        """The sink's counts once nothing more arrives."""
        counts = self._sink.ask()
        while True:
            time.sleep(0.01)
            now = self._sink.ask()
            if now["received"] == counts["received"]:
                return now
            counts = now

    def seen_by_modules(self, node):
        """How many packets they have been given, once no more come."""
        before, now = None, -1
        while now != before:
            before = now
            node.counters_now()
            now = sum(module["packets"] for module in node.modules())
        return now

    @contextlib.contextmanager
    def on_core(self, core):
        """Processes started within run there."""
        os.sched_setaffinity(0, {core})
        try:
            yield
        finally:
            os.sched_setaffinity(0, {LOAD_CORE})

    @contextlib.contextmanager
    def rules(self):
        with open(HERE / "figure11.rules") as rules:
            self._restore(rules.read())
        try:
            yield
        finally:
            self._restore("*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n")

    def _restore(self, text):
        subprocess.run(["iptables-restore"], input=text, text=True, check=True,
                       preexec_fn=lambda: kernel.setns(self.router.fd))

    @contextlib.contextmanager
    def xdp_route(self):
        talkers = [Talker(self.router, ROUTER_CORE, self.build.program("netserv-load"), "route", "--interface", i)
                   for i in ("eth0", "eth1")]
        try:
            yield
        finally:
            for talker in talkers:
                talker.close()

    # The node.

    @contextlib.contextmanager
    def busy_polled(self):
        """The router's interfaces as the kernel's documentation wants them for preferred busy polling."""
        self._defer_interrupts(2, 50_000)
        try:
            yield
        finally:
            self._defer_interrupts(0, 0)

    def _defer_interrupts(self, count, nanoseconds):
        for interface in ("eth0", "eth1"):
            run_in_sysfs(self.router, f"cd class/net/{interface} && echo {count} >napi_defer_hard_irqs && "
                                      f"echo {nanoseconds} >gro_flush_timeout")

    @contextlib.contextmanager
    def forwarder(self, plane, *more):
        interfaces = ("--interface", "eth0", "--interface", "eth1") if plane == "xdp" else ()
        run_folder = self.lab.node.run_folder
        with self.on_core(ROUTER_CORE):
            process = self.router.start("forwarder", self.build.program("netserv-forwarder"), "--run-dir", run_folder,
                                        "--plane", plane, *interfaces, *more)
        try:
            process.wait_for_line("listening on")
            real_time(process.pid, FORWARDER_PRIORITY)
            yield process
        finally:
            process.stop()

    @contextlib.contextmanager
    def bare_container(self, plane, *more, filters=1):
        """Configuration 3; gives a function that counts verdicts."""
        with self.forwarder(plane, *more):
            talker = Talker(self.router, self.container_core, self.build.program("bare_container"),
                            self.lab.node.run_folder / "forwarder.sock", PORT, filters)
            real_time(talker.pid, CONTAINER_PRIORITY)
            try:
                yield lambda: verdicts_in(talker.ask())
            finally:
                talker.close()

    @contextlib.contextmanager
    def node(self, plane, *more, refresh_ms=100):
        """A node with no module yet."""
        node = self.lab.node
        node.config.write_text(config.text(node).replace("[metrics]\n", f"[metrics]\nrefresh_ms = {refresh_ms}\n")
                               .replace('level = "debug"', 'level = "warning"').replace("100.64.0.0/24", "100.64.0.0/22"))
        with self.forwarder(plane, *more) as node.forwarder:
            # On the other core: it moves no packets, but is asked for its counters all the time here.
            node.start_netservd()
            try:
                yield node
            finally:
                for module in node.modules():
                    self.lab.publishers[module["publisher"]].remove(node, module["id"])
                until(lambda: not node.containers(), "the containers have gone")
                node.netservd.stop()

    def deploy(self, node, module_id, file, publisher=None, port=PORT, **more):
        """In the way of the benchmark's packets to that port; gives a function that counts verdicts."""
        publisher = publisher or self.lab.publisher
        publisher.setup(node, module_id, file, filter_port=port, filter_proto="udp", ttl=86400, **more)  # outlives a slow search
        for pid in node.container_processes():
            os.sched_setaffinity(pid, {self.container_core})
            real_time(pid, CONTAINER_PRIORITY)
        return lambda: verdicts_in(node.counters_now())


def real_time(pid, priority):
    """For all threads of a process. A cgroup v1 group of its own has no real-time share, so it goes to the top one."""
    top = Path("/sys/fs/cgroup/cpu/cgroup.procs")
    if top.exists():
        top.write_text(str(pid))
    _schedule(pid, os.SCHED_FIFO, priority)


def ordinary(pid):
    _schedule(pid, os.SCHED_OTHER, 0)


def _schedule(pid, policy, priority):
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setscheduler(int(thread), policy, os.sched_param(priority))


def verdicts_in(counters):
    return counters["processed_passed"] + counters["processed_changed"]


def run_in_sysfs(host, command):
    """Runs a shell command in /sys as that host's network sees it."""
    host.run("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
             f"mount -t sysfs sysfs /sys && cd /sys && {command}")


def build_null_module(build, folder):
    """Configuration 4's module, compiled with the SDK's flags."""
    sdk = HERE.parent / "sdk"
    wasm = folder / "null.wasm"
    subprocess.run(["clang", f"@{sdk}/flags/wasm32.rsp", f"@{sdk}/flags/wasm32-c.rsp", f"-I{sdk}/include",
                    HERE / "figure11_null.c", "-o", wasm], check=True)
    return wasm.read_bytes()
