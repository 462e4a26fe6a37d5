"""Runs a function so that nothing it starts or mounts outlives it, however it ends.

    outer       what the user started; passes signals on, returns the exit status
      init      PID 1 of a new PID namespace, in a new mount namespace; reaps; when it ends the kernel kills the rest
        main    the function

Whichever of them is killed, even with -9, the PID namespace ends with it: outer's death kills init (PDEATHSIG),
main's death makes init leave. Mounts and named network namespaces live in the mount namespace and go with it.
What the kernel keeps for no process, control groups and the run folder, a watcher outside removes: it waits for the
last end of a pipe to close.
"""

import contextlib
import os
import secrets
import shutil
import signal
import sys
import warnings
from pathlib import Path

from . import cgroups, kernel

RUNS = Path("/run/netserv-lab")


def new_run_name():
    return secrets.token_hex(3)


def supervised_in_child(function):
    """supervised() in a child: for a caller that does it more than once, since a process can have only one PID
    namespace for its children."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        def body():
            kernel.die_with_parent(signal.SIGTERM)
            return supervised(function)

        _child(body)
    with _passed_on(child):
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) % 256


def supervised(function, run=None):
    """Calls function(run_folder: Path) in isolation; returns its exit status (an int)."""
    run = run or new_run_name()
    folder = RUNS / run
    folder.mkdir(parents=True, mode=0o755)
    sys.stdout.flush()
    sys.stderr.flush()
    alive_read, alive_write = os.pipe()
    watcher = os.fork()
    if watcher == 0:
        _child(lambda: _watch(alive_read, alive_write, folder))
    os.close(alive_read)
    init = None
    try:
        kernel.unshare(kernel.CLONE_NEWPID)
        outer = os.getpid()
        init = os.fork()
        if init == 0:
            _child(lambda: _init(function, folder, outer))
        (folder / "pid").write_text(f"{os.getpid()} {init}\n")
        with _passed_on(init):
            _, status = os.waitpid(init, 0)
        return os.waitstatus_to_exitcode(status) % 256
    finally:
        os.close(alive_write)
        os.waitpid(watcher, 0)


def _child(body):
    status = 1
    try:
        status = body()
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else 1
        if e.code and not isinstance(e.code, int):
            print(e.code, file=sys.stderr)
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status or 0)


@contextlib.contextmanager
def _passed_on(pid):
    def forward(number, _frame):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    before = {n: signal.signal(n, forward) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _init(function, folder, outer):
    kernel.die_with_parent(signal.SIGKILL)
    # os.getppid() cannot see out of the PID namespace; the watcher's pipe closes either way.
    if not os.path.exists(f"/proc/{outer}"):
        return 1
    os.setsid()
    cgroups.join(folder.name)
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    kernel.mount("netserv-lab", str(folder), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=512m")
    if os.path.isdir("/sys/fs/bpf"):
        kernel.mount("netserv-lab", "/sys/fs/bpf", "bpf")
    Path("/run/netns").mkdir(exist_ok=True)
    kernel.mount("netserv-lab", "/run/netns", "tmpfs", 0, "mode=755")

    main = os.fork()
    if main == 0:
        _child(lambda: _main(function, folder))
    with _passed_on(main):
        while True:
            pid, status = os.wait()
            if pid == main:
                return os.waitstatus_to_exitcode(status) % 256


def _main(function, folder):
    # Processes of the lab are left running on purpose: the PID namespace ends them.
    warnings.simplefilter("ignore", ResourceWarning)

    def leave(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    return function(folder)


def _watch(alive_read, alive_write, folder):
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.close(alive_write)
    os.read(alive_read, 1)  # until the last process that holds the other end is gone
    cgroups.remove(folder.name)
    shutil.rmtree(folder, ignore_errors=True)
    return 0
