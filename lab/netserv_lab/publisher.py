"""A publisher of the lab: a key, a web server with its modules, and the commands by which it deploys them."""

import base64
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from .waiting import Expected, expect, until

WEB = Path(__file__).resolve().parent / "web.py"
PORT = 8000


@dataclass
class PathAnswer:
    """What the nodes on a path answered: the command's exit status and its JSON."""

    status: int
    json: dict

    @property
    def nodes(self):
        return self.json["nodes"]

    @property
    def names(self):
        """The response stack's nodes, in path order."""
        return [n["node"] for n in self.nodes]

    def each(self, key):
        return [n[key] for n in self.nodes]


class Publisher:
    def __init__(self, host, build, name="alice", version=4):
        self.host = host
        self.build = build
        self.name = name
        self.folder = host.folder / name
        self.folder.mkdir()
        self.files = self.folder / "files"
        self.files.mkdir()
        self.key = self.folder / f"{name}.key"
        host.run(build.program("netserv"), "key", "new", self.key)
        self.public_key = raw_public_key(Path(f"{self.key}.pub").read_text())
        self.version = version
        self.policy = {}  # of its configuration on nodes, over the lab's defaults (lab/netserv_lab/config.py)
        self.web = None

    def serve(self, *modules):
        """Puts modules of the build on the web server, and starts it if it is not running."""
        for module in modules:
            shutil.copy(self.build.module(module), self.files)
        if self.web is None:
            self.web = self.host.start(f"{self.name}-web", "/usr/bin/python3", WEB, self.host.address(self.version), PORT, self.files)
            self.web.wait_for_line("ready")

    def put(self, name, content):
        (self.files / name).write_bytes(content)

    def url(self, path):
        address = self.host.address(self.version)
        return f"http://{f'[{address}]' if self.version == 6 else address}:{PORT}/{path}"

    def digest(self, name):
        return hashlib.sha256((self.files / name).read_bytes()).hexdigest()

    def requests(self):
        """Lines of the web server's log, one for each request."""
        return [line for line in self.web.output().splitlines() if "HTTP/" in line]

    def posted(self):
        """Notifications that nodes have posted, oldest first."""
        path = self.files / "posted.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for_notification(self, **wanted):
        until(lambda: any(all(n.get(k) == v for k, v in wanted.items()) for n in self.posted()),
              lambda: f"a notification with {wanted}; there were {self.posted()}")

    def setup(self, node, module_id, file, *, url=None, wait=True, check=True, properties=(), **headers):
        """`netserv setup` for a module on our web server; keyword arguments are headers (filter_port=5060).
        Returns the node's answer as the command's JSON."""
        options = []
        for name, value in headers.items():
            options += [f"--{name.replace('_', '-')}", str(value)]
        for item in properties:
            options += ["--property", item]
        if not wait:
            options.append("--no-wait")
        if "digest" not in headers:
            options += ["--module-file", self.files / file]
        return node.answer("setup", module_id, "--url", url or self.url(file), *self.identity(), *options, host=self.host,
                           check=check)

    def signed(self, node, module_id, file, *options):
        """The text of a signed SETUP, not sent."""
        return node.command("setup", module_id, "--url", self.url(file), *self.identity(), "--module-file",
                            self.files / file, *options, "--print", host=self.host).stdout

    def remove(self, node, module_id, check=True):
        return node.answer("remove", module_id, *self.identity(), host=self.host, check=check)

    def probe(self, node, module_id, check=True):
        return node.answer("probe", module_id, *self.identity(), host=self.host, check=check)

    def toward(self, address, *request, check=False):
        """A request along the path: toward("10.2.0.2", "probe", "--kind", "node"). Returns the PathAnswer."""
        argv = [self.build.program("netserv"), *request, "--toward", address, *self.identity(),
                "--nslp-socket", self.host.signalling.socket, "--json"]
        done = self.host.run(*argv, check=False)
        if not done.stdout or (check and done.returncode != 0):
            raise Expected(f"{' '.join(map(str, argv))}: status {done.returncode}\n{done.stdout}{done.stderr}")
        answer = PathAnswer(done.returncode, json.loads(done.stdout.splitlines()[-1]))
        expect("nodes" in answer.json, f"netserv {request[0]} is sent along the path: {answer}")
        return answer

    def setup_toward(self, address, module_id, file, *options, check=True):
        return self.toward(address, "setup", module_id, "--url", self.url(file), "--module-file", self.files / file,
                           *options, check=check)

    def identity(self):
        return "--user", self.name, "--key", self.key


def raw_public_key(pem):
    """The last 32 bytes of the key's PEM form, in base64: what a node's configuration wants."""
    body = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    return base64.b64encode(base64.b64decode(body)[-32:]).decode()
