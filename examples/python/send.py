#!/usr/bin/env python3
"""Sends a message to a tenure session with nothing but redis-py.

    send.py echo/alice hello --reply-to my:replies
    send.py echo/alice '{"text": "hello", "order": 17}' --direct --id order-17

The plain door (the default) is one XADD: answered, the message is accepted, and a worker relays it.
The direct door (--direct) runs the script `send` itself: one step less, and the outcome is known at
once. It needs the keys of the session and the text of the script; `lua/README.md` documents both.

Prints one JSON object. Exit codes: 0 accepted, 2 usage, 4 refused, 5 no answer.
"""

import argparse
import binascii
import json
import pathlib
import sys
import uuid

import redis

LUA = pathlib.Path(__file__).resolve().parents[2] / "lua"
SLOTS = 16384
DEFAULTS = {"partitions": 64, "limits": {"body": 1 << 20, "inbox": 1000}}


def main() -> int:
    arguments = parse()
    client = redis.Redis.from_url(arguments.redis)
    door = through_direct_door if arguments.direct else through_plain_door
    try:
        outcome = door(client, arguments)
    except redis.exceptions.RedisError as error:
        # With --id the same command may be repeated: the same id is the same message.
        print(f"no answer from Redis ({error}): repeat it with --id", file=sys.stderr)
        return 5
    print(json.dumps(outcome))
    return 0 if outcome["accepted"] else 4


def through_plain_door(client: redis.Redis, arguments: argparse.Namespace) -> dict:
    fields = {"to": arguments.session, "body": arguments.body}
    for name in ("id", "reply_to", "group", "resume", "durability"):
        if getattr(arguments, name):
            fields[name] = getattr(arguments, name)
    entry = client.xadd(f"tenure:{arguments.namespace}:ingress", fields)
    return {"session": arguments.session, "accepted": True, "entry": entry.decode()}


def through_direct_door(client: redis.Redis, arguments: argparse.Namespace) -> dict:
    settings = settings_of(client, arguments.namespace)
    script = client.register_script(text_of("send"))
    pool = pool_of(client, arguments.namespace, arguments.session)
    # The same message in every try: the last one accepted is known again.
    message = str(uuid.uuid4())
    while True:
        keys, wake = keys_of(arguments, settings["partitions"], pool)
        limits = settings["limits"]
        reply = script(
            keys=keys,
            args=[
                arguments.session,
                message,
                as_object(arguments.body),
                pool,
                limits["body"],
                limits["inbox"],
                wake,
                arguments.id or "",
                arguments.reply_to or "",
                arguments.group or "",
                arguments.resume or "",
                arguments.durability or "",
            ],
        )
        word, value = reply[0].decode(), reply[1].decode()
        outcome = {"session": arguments.session, "accepted": word in ("accepted", "repeat")}
        match word:
            case "accepted" | "repeat":
                return outcome | {"message": value, "repeat": word == "repeat"}
            case "other_pool":
                pool = value
            case _:
                return outcome | {"reason": value}


def settings_of(client: redis.Redis, namespace: str) -> dict:
    """The namespace's settings, as whoever connected first wrote them."""
    found = client.hget(f"tenure:{{{namespace}}}:conf", "settings")
    return json.loads(found) if found else DEFAULTS


def pool_of(client: redis.Redis, namespace: str, session: str) -> str:
    """The pool whose workers serve the session's agent."""
    declared = client.hget(f"tenure:{{{namespace}}}:agents", session.split("/")[0])
    return json.loads(declared)["pool"] if declared else "default"


def keys_of(arguments: argparse.Namespace, partitions: int, pool: str) -> tuple[list[str], str]:
    """The keys that `send` works on, in its order, and the prefix of the wake channels."""
    session, agent = arguments.session, arguments.session.split("/")[0]
    prefix = f"tenure:{{{slot_tag(arguments.namespace, session, partitions)}}}:"
    keys = [f"meta:{session}", f"in:{session}", f"ready:{pool}:{agent}", f"idle:{pool}:{agent}", "index", "out"]
    if arguments.id:
        keys.append(f"ids:{session} {arguments.id}")
    return [prefix + key for key in keys], prefix + "wake:"


def slot_tag(namespace: str, session: str, partitions: int) -> str:
    """What stands in the braces of the session's keys: the same for its whole partition."""
    partition = crc16(routing_tag(session)) % partitions
    suffix = 0
    while crc16(f"{namespace}.{suffix}") % SLOTS * partitions // SLOTS != partition:
        suffix += 1
    return f"{namespace}.{suffix}"


def routing_tag(session: str) -> str:
    """The first non-empty {…} of the id, else all of it: Redis Cluster's rule for hash tags."""
    _, brace, rest = session.partition("{")
    tag, closed, _ = rest.partition("}")
    return tag if brace and closed and tag else session


def crc16(text: str) -> int:
    return binascii.crc_hqx(text.encode(), 0)


def text_of(name: str) -> str:
    """A script as the server wants it: its first line, the shared prelude, the rest."""
    first, _, rest = (LUA / f"{name}.lua").read_text().partition("\n")
    return f"{first}\n{(LUA / 'prelude.lua').read_text()}{rest}"


def as_object(body: str) -> str:
    """A JSON object as it is, all else as text: what the plain door does by itself."""
    try:
        if isinstance(json.loads(body), dict):
            return body.strip()
    except ValueError:
        pass
    return json.dumps({"text": body})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", help="agent/key")
    parser.add_argument("body", help="a JSON object, or text")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--direct", action="store_true", help="run the script `send` instead of one XADD")
    parser.add_argument("--id", help="your own key: the same key again is the same message")
    parser.add_argument("--reply-to", help="the list that the reply is pushed to")
    parser.add_argument("--group", help="the group a new session joins")
    parser.add_argument("--resume", choices=["eager", "lazy"])
    parser.add_argument("--durability", help="what its turn reaches, if more than its agent's: replicas:N, fsync …")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
