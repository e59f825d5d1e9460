#!/usr/bin/env python3
"""The support desk as a program of a worker's own: `type = "exec"` in agents.toml.

A turn a line on standard input, its outcome a line on standard output (JSON-RPC 2.0). Whatever
goes to standard error lands in the worker's log.
"""

import json
import os
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

from support import Refusal, turn


def serve(turn, at_once=32):
    """Takes turns, `at_once` at a time, until the worker closes our input."""
    out, pool, under_way = threading.Lock(), ThreadPoolExecutor(at_once), {}

    def answer(id, **outcome):
        if under_way.pop(id, None) is None:
            return  # cancelled: nobody waits any more
        with out:
            print(json.dumps({"jsonrpc": "2.0", "id": id, **outcome}), flush=True)

    def run(id, params):
        try:
            answer(id, result=turn(params))
        except Refusal as why:
            answer(id, error={"code": 1, "message": str(why), "data": {"retry": False}})
        except Exception as why:  # the worker tries again, and gives up after a few times
            traceback.print_exc()
            answer(id, error={"code": 2, "message": f"{type(why).__name__}: {why}"})

    for line in sys.stdin.buffer:
        request = json.loads(line)
        id, params = request.get("id"), request["params"]
        if request["method"] == "turn":
            under_way[id] = True
            pool.submit(run, id, params)
        elif request["method"] == "cancel":
            under_way.pop(params["id"], None)

    os._exit(0)  # the worker has gone: what still runs here is run again elsewhere


if __name__ == "__main__":
    serve(turn)
