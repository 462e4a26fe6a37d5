"""What a machine must have for the lab, each asked of the machine itself.

A scenario names what it needs; what is missing is said by name, and only that is a reason to skip.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _tool(name):
    return None if shutil.which(name, path=PATH) else f"no program {name}"


def _root():
    return None if os.geteuid() == 0 else "not root"


def _in_new_namespace(*commands):
    """Runs the commands in a network namespace of their own; the text of the first that fails."""
    script = " && ".join(commands)
    done = subprocess.run(["unshare", "--net", "--mount", "/bin/sh", "-c", script], capture_output=True, text=True)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]


def _namespaces():
    return _in_new_namespace("true")


def _veth():
    return _tool("ip") or _in_new_namespace("ip link add v0 type veth peer name v1")


def _ipv6():
    return None if Path("/proc/net/if_inet6").exists() else "no IPv6 in this kernel"


def _nfqueue():
    rule = "-t raw -A PREROUTING -p udp -j NFQUEUE --queue-num 9 --queue-bypass"
    return _tool("iptables") or _in_new_namespace(f"iptables {rule}", f"ip6tables {rule}")


def _xdp(mode):
    """On a veth, as the lab's links are."""
    probe = Path(__file__).resolve().parent / "xdp_probe.py"
    return _in_new_namespace("ip link add v0 type veth peer name v1", f"{sys.executable} {probe} v0 {mode}")


def _pid_namespace():
    done = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr.strip()


def _cgroups():
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        have = (root / "cgroup.controllers").read_text().split()
    else:
        have = [p.name for p in root.iterdir()] if root.exists() else []
    missing = {"memory", "pids"} - set(have)
    return f"no control group for {', '.join(sorted(missing))}" if missing else None


def _lxc():
    found = any(Path(p).exists() for p in ("/usr/lib/x86_64-linux-gnu/liblxc.so.1", "/usr/lib/aarch64-linux-gnu/liblxc.so.1"))
    return None if found else "no liblxc.so.1"


def _user_namespaces():
    done = subprocess.run(["unshare", "--user", "--map-root-user", "true"], capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr.strip()


CAPABILITIES = {
    "root": _root,
    "network namespaces": _namespaces,
    "PID namespaces": _pid_namespace,
    "user namespaces": _user_namespaces,
    "veth": _veth,
    "IPv6": _ipv6,
    "NFQUEUE": _nfqueue,
    "AF_XDP": lambda: _xdp("generic"),
    "native XDP": lambda: _xdp("native"),
    "control groups": _cgroups,
    "liblxc": _lxc,
    "sipp": lambda: _tool("sipp"),
    "gcc": lambda: _tool("gcc"),
}
NETWORK = ("root", "network namespaces", "PID namespaces", "veth", "IPv6")
NODE = (*NETWORK, "user namespaces", "NFQUEUE", "control groups", "liblxc", "gcc")


def missing(names=tuple(CAPABILITIES)):
    """The capabilities among names that this machine lacks, each with the reason."""
    found = {}
    for name in names:
        try:
            reason = CAPABILITIES[name]()
        except OSError as e:
            reason = str(e)
        if reason:
            found[name] = reason
    return found


def skip_unless(names):
    """Ends the program with the status that ctest counts as a skip, saying what is missing."""
    lacking = missing(names)
    if lacking:
        for name, reason in lacking.items():
            print(f"SKIP: this machine lacks {name}: {reason}")
        sys.exit(77)
