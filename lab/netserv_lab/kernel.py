"""The few system calls that Python's standard library lacks: namespaces, mounts, prctl, and a NIC's offloads."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM, _ETHTOOL_SGRO = 0x17, 0x2C

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags):
    _check(_libc.unshare(flags), "unshare")


def setns(fd, kind=CLONE_NEWNET):
    _check(_libc.setns(fd, kind), "setns")


def mount(source, target, kind, flags=0, data=""):
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()),
           f"mount {kind or source} on {target}")


def die_with_parent(signal_number):
    """The calling process gets signal_number when the thread that forked it ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


@contextlib.contextmanager
def network_of(fd):
    """Runs the body in network namespace fd. For the lab's only thread."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(fd)
        yield
    finally:
        setns(home)
        os.close(home)


def transmit_checksums_in_software(interface):
    """veth leaves checksums to hardware that does not exist; packets read off it would carry wrong ones."""
    _ethtool(interface, _ETHTOOL_STXCSUM, 0)


def receive_offload(interface):
    """A veth takes packets that an XDP program sends it only if its own end polls, as GRO makes it do."""
    _ethtool(interface, _ETHTOOL_SGRO, 1)


def _ethtool(interface, command, number):
    value = bytearray(struct.pack("II", command, number))
    buffer = (ctypes.c_char * len(value)).from_buffer(value)
    request = struct.pack("16sP", interface.encode(), ctypes.addressof(buffer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, _SIOCETHTOOL, request)
