"""xdp_probe.py INTERFACE native|generic: attaches an XDP program that passes everything, and lets go of it again.

Run by probe.py in a network namespace of its own; what does not work is said on standard error.
"""

import ctypes
import os
import platform
import socket
import struct
import sys

BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 280)
PROG_LOAD, LINK_CREATE = 5, 28
XDP_TYPE, XDP_ATTACH = 6, 37
FLAGS = {"native": 1 << 2, "generic": 1 << 1}
AF_XDP = 44


def bpf(command, attributes, what):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(BPF, command, buffer, len(buffer))
    if fd < 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")
    return fd


def main():
    interface, mode = sys.argv[1:]
    try:
        socket.socket(AF_XDP, socket.SOCK_RAW).close()
    except OSError as e:
        sys.exit(f"no AF_XDP sockets: {e.strerror}")
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0))  # return XDP_PASS
    licence = ctypes.create_string_buffer(b"GPL")
    program = bpf(PROG_LOAD, struct.pack("<IIQQ", XDP_TYPE, 2, ctypes.addressof(code), ctypes.addressof(licence)),
                  "loading an XDP program")
    bpf(LINK_CREATE, struct.pack("<IIII", program, socket.if_nametoindex(interface), XDP_ATTACH, FLAGS[mode]),
        f"{mode} XDP on {interface}")


if __name__ == "__main__":
    main()
