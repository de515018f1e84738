"""The application of docs/topics/backpressure.md, with what a test needs to see of it."""

from __future__ import annotations

from flask import request

from docs.code.backpressure.app import app
from ws4py_middleware.hub import get_hub

__all__ = ["app"]


@app.get("/say/<room>")
def say(room: str) -> str:
    """Publish numbered messages of a size; say how many members took the last one."""
    first, count, size = (int(request.args[name]) for name in ("first", "count", "size"))
    taken = 0
    for number in range(first, first + count):
        taken = get_hub().publish(room, f"{number}".ljust(size))
    return str(taken)


@app.get("/members/<room>")
def count(room: str) -> str:
    """Say how many have come in."""
    return str(len(get_hub().members(room)))
