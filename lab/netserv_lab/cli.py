"""netserv-lab (and `netserv lab`): list, probe, up, run, shell, down."""

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from . import probe, supervise, topology
from .build import Build
from .lab import Lab
from .story import Story
from .waiting import Expected, until

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="netserv lab", description="Networks of namespaces with NetServ nodes in them.")
    parser.add_argument("--build", help="folder of the build whose programs to run (default: $NETSERV_BUILD_DIR, then the newest)")
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name, function, text, as_json=True):
        sub = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        if as_json:
            sub.add_argument("--json", action="store_true", help="for programs")
        return sub

    verb("list", _list, "topologies, scenarios, and labs that are up")
    verb("probe", _probe, "what this machine lacks for the lab")
    up = verb("up", _up, "builds a topology, starts its nodes, and stays until interrupted")
    up.add_argument("topology")
    up.add_argument("--no-nodes", action="store_true", help="the network only")
    run = verb("run", _run, "runs a scenario and ends with its verdict")
    run.add_argument("scenario")
    for each in (up, run):
        each.add_argument("--plane", choices=topology.PLANES, help="forwarding plane of all nodes (default: the topology's, auto)")
    shell = verb("shell", _shell, "a shell, or a command, on a host of a lab that is up", as_json=False)  # it's the command's
    shell.add_argument("host")
    shell.add_argument("--lab", help="which, if several are up")
    shell.add_argument("command", nargs=argparse.REMAINDER)
    verb("down", _down, "ends a lab that is up").add_argument("lab", nargs="?")

    chosen = parser.parse_args(arguments)
    try:
        return chosen.function(chosen)
    except (Expected, topology.BadTopology) as e:
        print(f"netserv lab: {e}", file=sys.stderr)
        return 1


def _running():
    """Labs that are up: run name -> (outer pid, init pid)."""
    found = {}
    for folder in sorted(supervise.RUNS.glob("*")):
        try:
            outer, init = map(int, (folder / "pid").read_text().split())
            os.kill(outer, 0)
        except (OSError, ValueError):
            continue
        found[folder.name] = (outer, init)
    return found


def _one_running(name):
    labs = _running()
    if name:
        labs = {k: v for k, v in labs.items() if k == name}
    if len(labs) != 1:
        raise Expected(f"{len(labs)} labs are up" + (f": {' '.join(labs)}; say which" if labs else ""))
    return next(iter(labs.items()))


def _scenarios():
    return sorted(p.stem for p in SCENARIOS.glob("*.py"))


def _load_scenario(name):
    path = Path(name) if name.endswith(".py") else SCENARIOS / f"{name}.py"
    if not path.exists():
        raise Expected(f"{path}: no such scenario; there are: {', '.join(_scenarios())}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _list(chosen):
    found = {
        "topologies": [(n, topology.find(n).description) for n in topology.names()],
        "scenarios": [(n, (_load_scenario(n).__doc__ or "").split("\n")[0]) for n in _scenarios()],
        "up": [(run, f"process {outer}") for run, (outer, _) in _running().items()],
    }
    if chosen.json:
        print(json.dumps({title: [{"name": n, "description": text} for n, text in rows] for title, rows in found.items()}))
        return 0
    for title, rows in found.items():
        print(f"{title}:")
        for name, text in rows:
            print(f"  {name:12} {text}")
    return 0


def _probe(chosen):
    lacking = probe.missing()
    if chosen.json:
        print(json.dumps({name: lacking.get(name) for name in probe.CAPABILITIES}))
    else:
        for name in probe.CAPABILITIES:
            print(f"  {name:20} {'missing: ' + lacking[name] if name in lacking else 'yes'}")
    return 1 if lacking else 0


def _require(names):
    lacking = probe.missing(names)
    if lacking:
        raise Expected("this machine lacks " + "; ".join(f"{n} ({r})" for n, r in lacking.items()))


def _up(chosen):
    plan = topology.find(chosen.topology)
    _require(probe.NETWORK if chosen.no_nodes else probe.NODE)
    build = None if chosen.no_nodes else Build.find(chosen.build)

    def stay(folder):
        with Lab(plan, folder, build, plane=chosen.plane) as lab:
            if not chosen.no_nodes:
                lab.start()
            _print_lab(_describe(folder.name, plan, lab, not chosen.no_nodes), chosen.json)
            signal.pause()
        return 0

    status = supervise.supervised(stay)
    return 0 if status in (128 + signal.SIGINT, 128 + signal.SIGTERM) else status


def _describe(name, plan, lab, with_nodes):
    nodes = lab.nodes.values() if with_nodes else ()
    return {
        "lab": name,
        "hosts": list(plan.hosts),
        "nodes": [{"node": n.name, "plane": n.status()["plane"], "ncm_socket": str(n.ncm_socket),
                   "admin_socket": str(n.admin_socket), "metrics": f"http://{n.metrics_address}/metrics"} for n in nodes],
        "signalling": [{"host": s.host.name, "nslp_socket": str(s.socket)} for s in lab.signalling if not s.gist_only],
    }


def _print_lab(lab, as_json):
    if as_json:
        print(json.dumps(lab), flush=True)
        return
    for n in lab["nodes"]:
        print(f"  node {n['node']}: plane {n['plane']}, sockets {n['ncm_socket']} {n['admin_socket']}, metrics {n['metrics']}")
    for s in lab["signalling"]:
        print(f"  signalling on {s['host']}: --nslp-socket {s['nslp_socket']}")
    print(f"lab {lab['lab']} is up: {', '.join(lab['hosts'])}")
    print(f"  netserv lab shell HOST [COMMAND...]; netserv lab down {lab['lab']}; or Ctrl-C here", flush=True)


def _run(chosen):
    scenario = _load_scenario(chosen.scenario)
    _require(scenario.NEEDS)
    build = Build.find(chosen.build)

    def play(folder):
        with Lab(topology.find(scenario.TOPOLOGY), folder, build, plane=chosen.plane) as lab:
            try:
                scenario.run(lab, Story(chosen.json))
            except Exception:
                lab.print_logs()
                raise
        return 0

    status = supervise.supervised(play)
    if chosen.json:
        print(json.dumps({"scenario": chosen.scenario, "passed": status == 0, "status": status}))
    return status


def _shell(chosen):
    run, (_, init) = _one_running(chosen.lab)
    namespace = f"/run/netns/{run}-{chosen.host}"
    command = chosen.command or [os.environ.get("SHELL", "/bin/bash")]
    inside = ["nsenter", "-t", str(init), "-m", "-p", "--", "nsenter", f"--net={namespace}", "--", *command]
    environment = {**os.environ, "PS1": f"{chosen.host}# "}
    return subprocess.run(inside, env=environment).returncode


def _down(chosen):
    run, (outer, _) = _one_running(chosen.lab)
    os.kill(outer, signal.SIGTERM)
    until(lambda: not (supervise.RUNS / run).exists(), f"lab {run} ends")
    print(json.dumps({"down": run}) if chosen.json else f"lab {run} is down")
    return 0
