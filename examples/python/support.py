"""A small support desk: one turn in, its outcome out. It knows nothing of pipes, HTTP or Redis.

`support_exec.py` runs it as a worker's own process, `support_http.py` as a server.
"""

import re

ORDERS = {"A-17": "on its way", "B-2": "waiting for payment"}


def turn(params):
    """Takes one turn: `params` is what the worker says, the result is what it makes durable."""
    state = params["state"] or {"name": None, "messages": 0}
    text = params["message"]["body"].get("text")
    if not isinstance(text, str):
        raise Refusal('send text, such as {"text": "hello"}')
    state["messages"] += 1

    if name := re.search(r"my name is (\w+)", text, re.IGNORECASE):
        state["name"] = name[1]
        return {"reply": {"text": f"Hello {name[1]}, how can I help?"}, "state": state}

    if order := re.search(r"order ([\w-]+)", text, re.IGNORECASE):
        return look_up(order[1].upper(), params, state)

    if "forget me" in text.lower():
        return {"reply": {"text": "Forgotten."}, "state": None}

    who = state["name"] or "stranger"
    said = [entry for entry in params["history"] if entry["kind"] == "user"]
    before = f'; before that you said "{said[-1]["body"].get("text")}"' if said else ""
    return {"reply": {"text": f"{who}, that was message {state['messages']}{before}"}, "state": state}


def look_up(order, params, state):
    """A look into another system leaves its trace in the history, between message and reply."""
    # The same for every run of this turn: the other system knows a repeat by it.
    call = {"tool": "orders", "order": order, "idempotency_key": params["key"]}
    found = ORDERS.get(order, "unknown")
    return {
        "reply": {"text": f"Order {order} is {found}."},
        "state": state,
        "append": [
            {"kind": "tool_call", "body": call},
            {"kind": "tool_result", "body": {"order": order, "status": found}},
        ],
    }


class Refusal(Exception):
    """An error that no other try will mend."""
