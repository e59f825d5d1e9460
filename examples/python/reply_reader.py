#!/usr/bin/env python3
"""Reads replies of tenure sessions from a list, with nothing but redis-py.

    send.py echo/alice hello --reply-to my:replies
    reply_reader.py my:replies --count 1

Prints each reply as one JSON object: {session, message, id?, turn, entry?, reply}, or
{session?, message?, id?, error: {reason, message}}. A reply is never lost, but may come twice with
the same `message`: what was seen is left out here.

Exit codes: 0 all of --count came, 5 the time was over before.
"""

import argparse
import collections
import json
import sys
import time

import redis

# How many names are remembered to know a second coming.
REMEMBERED = 10_000


def main() -> int:
    arguments = parse()
    client = redis.Redis.from_url(arguments.redis)
    until = time.monotonic() + arguments.timeout
    seen: collections.OrderedDict[str, None] = collections.OrderedDict()
    left = arguments.count
    while left > 0:
        reply = next_reply(client, arguments.list, until)
        if reply is None:
            print(f"no reply at {arguments.list} within {arguments.timeout:g} s", file=sys.stderr)
            return 5
        name = json.loads(reply).get("message")
        if name is None or name not in seen:
            print(reply, flush=True)
            left -= 1
        if name is not None:
            remember(seen, name)
    return 0


def next_reply(client: redis.Redis, key: str, until: float) -> str | None:
    """The next reply at the list; none if the time is over. Goes on where a server was away."""
    while (left := until - time.monotonic()) > 0:
        try:
            # Never longer than a second at once, so that a lost connection is noticed soon.
            taken = client.blpop([key], timeout=min(left, 1))
        except redis.exceptions.ConnectionError:
            time.sleep(min(left, 0.2))
            continue
        if taken is not None:
            return taken[1].decode()
    return None


def remember(seen: collections.OrderedDict, name: str) -> None:
    seen[name] = None
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", help="the key that was given as reply_to")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379")
    parser.add_argument("--count", type=int, default=1, help="how many replies to wait for")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for all of them")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
