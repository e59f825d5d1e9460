#!/usr/bin/env python3
"""The support desk as a server: `type = "http"` in agents.toml, with the address this prints as its `url`.

A turn a POST, its outcome the answer. With SUPPORT_TOKEN in the environment only those are served who
send it (`headers = { authorization = "Bearer ${SUPPORT_TOKEN}" }`).
"""

import argparse
import hmac
import json
import os
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support import Refusal, turn

TOKEN = os.environ.get("SUPPORT_TOKEN")


class Turns(BaseHTTPRequestHandler):
    """One connection, which carries one turn after the other."""

    protocol_version = "HTTP/1.1"  # connections are kept
    disable_nagle_algorithm = True  # else an answer's body waits for the client to confirm its head
    timeout = 120  # seconds without a request

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if TOKEN and not hmac.compare_digest(self.headers.get("authorization", ""), f"Bearer {TOKEN}"):
            return self.answer(401, {"message": "this is not the token"})
        try:
            self.answer(200, turn(json.loads(body)))
        except Refusal as why:
            self.answer(422, {"message": str(why)})  # no other try will mend it
        except Exception as why:  # the worker tries again, and gives up after a few times
            traceback.print_exc()
            self.answer(500, {"message": f"{type(why).__name__}: {why}"})

    def answer(self, status, outcome):
        body = json.dumps(outcome).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_):
        """A line for every turn is the worker's to write."""


class Server(ThreadingHTTPServer):
    daemon_threads = True  # connections that are kept do not keep the program
    request_queue_size = 1024  # a worker opens many at once


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--port", type=int, default=8000, help="0: any that is free")
    server = Server(("127.0.0.1", options.parse_args().port), Turns)
    print(f"http://127.0.0.1:{server.server_port}/turn", flush=True)
    server.serve_forever()
