#!/usr/bin/python3
"""listener.py ADDRESS PORT: the visualizer's side of NetMonitor: prints each datagram on a line; "ready" first."""

import socket
import sys

address, port = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.bind((address, port))
    print("ready", flush=True)
    while True:
        print(s.recv(65536).decode(errors="replace"), flush=True)
