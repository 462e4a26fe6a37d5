#!/usr/bin/python3
"""web.py ADDRESS PORT FOLDER: a publisher's web server for the lab, well-behaved and otherwise.

    GET /NAME              the file FOLDER/NAME, or 404
    GET /slow/NAME         the same at a trickle: 64 bytes a second
    GET /redirect/N/NAME   N redirects, then the file
    GET /endless           bytes without end
    POST /...              appends the body to FOLDER/posted.jsonl, answers 204

Prints "ready" when it listens and one line for each request.
"""

import http.server
import socket
import sys
import time
from pathlib import Path

address, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        parts = self.path.strip("/").split("/")
        if parts == ["endless"]:
            return self.endless()
        if parts[0] == "redirect" and len(parts) == 3:
            left = int(parts[1])
            self.send_response(302)
            self.send_header("Location", f"/redirect/{left - 1}/{parts[2]}" if left > 1 else f"/{parts[2]}")
            return self.end_headers()
        file = folder / Path(parts[-1]).name
        if not file.is_file():
            return self.send_error(404)
        body = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if parts[0] != "slow":
            self.wfile.write(body)
            return None
        for start in range(0, len(body), 64):
            self.wfile.write(body[start:start + 64])
            self.wfile.flush()
            time.sleep(1)
        return None

    def endless(self):
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(bytes(65536))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with open(folder / "posted.jsonl", "ab") as f:
            f.write(body.rstrip(b"\n") + b"\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, form, *values):
        print(f"{self.client_address[0]} {form % values}", flush=True)


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    daemon_threads = True

    def handle_error(self, request, client_address):
        print(f"{client_address[0]} went away", flush=True)


with Server((address, port), Handler) as server:
    print("ready", flush=True)
    server.serve_forever()
