"""Pins the kernel's own threads (threaded NAPI), which processes of a lab can't see.

A helper is forked before the lab makes its PID namespace. It is asked over a socket pair: "look" remembers the NAPI
threads there are; "pin CPU PRIORITY" moves those that have come since to that core, and gives them that real-time
priority (0: none).
"""

import os
import socket
from pathlib import Path


class KernelThreads:
    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            os._exit(_serve(theirs))
        theirs.close()
        self._socket = ours

    def look(self):
        return self._ask("look")

    def pin(self, cpu, priority=0):
        """How many threads were pinned."""
        return self._ask(f"pin {cpu} {priority}")

    def _ask(self, text):
        self._socket.send(text.encode())
        answer = self._socket.recv(1000).decode()
        if not answer.isdigit():
            raise RuntimeError(f"kernel threads: {answer}")
        return int(answer)


def _napi_threads():
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().startswith("napi/"):
                found.add(int(entry.name))
        except OSError:
            pass  # it has ended meanwhile
    return found


def _serve(peer):
    seen = set()
    while request := peer.recv(1000).decode():
        try:
            word, *arguments = request.split()
            there = _napi_threads()
            if word == "look":
                seen = there
                peer.send(str(len(seen)).encode())
                continue
            cpu, priority = map(int, arguments)
            for pid in there - seen:
                os.sched_setaffinity(pid, {cpu})
                if priority:
                    os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(priority))
            peer.send(str(len(there - seen)).encode())
            seen = there
        except OSError as e:
            peer.send(f"{request}: {e}".encode())
    return 0
