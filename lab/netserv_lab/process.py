"""A process that the lab started: its output goes to a log file, it ends with the lab."""

import os
import signal
import subprocess

from . import kernel
from .waiting import Expected, until


class Process:
    def __init__(self, name, argv, log, network=None, env=None, cwd=None):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.log = log
        self._start = log.stat().st_size if log.exists() else 0

        def enter():
            kernel.die_with_parent(signal.SIGKILL)
            if network is not None:
                kernel.setns(network)

        with open(log, "ab") as out:
            self._process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, preexec_fn=enter,
                env={**os.environ, **(env or {})}, cwd=cwd, start_new_session=True)
        self.pid = self._process.pid

    def running(self):
        return self._process.poll() is None

    @property
    def status(self):
        return self._process.poll()

    def output(self):
        """What it has written so far, not counting an earlier process with the same log."""
        with open(self.log, "rb") as f:
            f.seek(self._start)
            return f.read().decode(errors="replace")

    def wait_for_line(self, text, patience=30.0):
        def seen():
            if text in self.output():
                return True
            if not self.running() and text not in self.output():
                raise Expected(f"{self.name} ended with status {self.status} before it wrote {text!r}:\n{self.tail()}")
            return False

        until(seen, lambda: f"{self.name} writes {text!r}; it wrote:\n{self.tail()}", patience)
        return self

    def wait(self, patience=60.0):
        until(lambda: not self.running(), f"{self.name} ends", patience)
        return self.status

    def kill(self, number=signal.SIGKILL):
        if self.running():
            os.kill(self.pid, number)
            self._process.wait()

    def stop(self, patience=10.0):
        """SIGTERM, and SIGKILL if it does not listen."""
        if not self.running():
            return self.status
        os.kill(self.pid, signal.SIGTERM)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
        return self.status

    def tail(self, lines=25):
        return "\n".join("    " + line for line in self.output().splitlines()[-lines:])

    def signal(self, number):
        os.kill(self.pid, number)
