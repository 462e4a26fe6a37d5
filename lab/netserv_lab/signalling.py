"""On-path signalling on one host of the lab: gistd, and nslpd on top of it. Beside a node, nslpd passes requests to its
netservd; on other hosts it only sends them for local programs."""

from pathlib import Path

from .waiting import expect, until


class Signalling:
    def __init__(self, host, build, run_folder: Path, initiator, options=()):
        """`options`: nslpd's, beside those of the topology."""
        self.host = host
        self.build = build
        self.run_folder = run_folder
        # A host that only sends needs no access to a node's sockets: there nslpd is nobody.
        self.options = [*(["--initiator", "--user", "nobody"] if initiator else []), *host.spec.nslpd, *options]
        self.gistd_options = [*(["--socket-mode", "666"] if initiator else []), *host.spec.gistd]
        self.gist_only = host.spec.signalling == "gist"
        self.gistd = None
        self.nslpd = None
        run_folder.mkdir(parents=True, exist_ok=True)

    @property
    def socket(self):
        """For programs of this host that send requests."""
        return self.run_folder / "nslp.sock"

    def start(self):
        self.start_gistd()
        self.start_nslpd()
        self.wait_until_ready()

    # Both start at once: nslpd attaches as soon as gistd is there.

    def start_gistd(self):
        self.gistd = self.host.start("gistd", self.build.program("gistd"), "--run-dir", self.run_folder, "--name", self.host.name,
                                     "--log-level", "debug", *self.gistd_options)

    def start_nslpd(self):
        if self.gist_only:
            return
        self.nslpd = self.host.start("nslpd", self.build.program("nslpd"), "--run-dir", self.run_folder,
                                     "--name", self.host.name, "--log-level", "debug", *self.options)

    def wait_until_ready(self):
        if self.gist_only:
            self.gistd.wait_for_line("listening on")
            return

        def attached():
            for process in (self.gistd, self.nslpd):
                expect(process.running(), lambda p=process: f"{p.name} ended with status {p.status}:\n{p.tail()}")
            return "attached" in self.nslpd.output()

        until(attached, lambda: f"nslpd of {self.host.name} attaches:\n{self.nslpd.tail()}\n{self.gistd.tail()}")

    def stop(self):
        for process in (self.nslpd, self.gistd):
            if process:
                process.stop()
