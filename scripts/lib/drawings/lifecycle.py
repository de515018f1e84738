"""The life of a connection, drawn from the tables that the machines go by."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.lib.drawings.canvas import Canvas
from ws4py_middleware.core import connection, relay
from ws4py_middleware.core.types import State

__all__ = ["TABLES", "draw"]

#: What leads from one state to another.
Table = Mapping[tuple[State, connection.Step], State] | Mapping[tuple[State, relay.Step], State]

#: What a picture's file is called; its title; what it is drawn from.
TABLES: Mapping[str, tuple[str, Table]] = {
    "lifecycle.svg": ("The life of a connection", connection.TRANSITIONS),
    "lifecycle_asgi.svg": ("The life of a connection that an ASGI server keeps", relay.TRANSITIONS),
}

MEANING = {
    State.CONNECTING: "the opening handshake",
    State.OPEN: "messages both ways",
    State.CLOSING: "waits for the peer",
    State.CLOSED: "the last bytes leave",
}

WIDTH, BOX, GAP, LEFT = 1000, 150, 251, 24
TOP, TALL = 96, 64
LINE = 17  # from one line of words to the next


def draw() -> Mapping[str, str]:
    """Return the pictures by the names of their files."""
    return {name: draw_table(title, table) for name, (title, table) in TABLES.items()}


def draw_table(title: str, table: Table) -> str:
    """Draw the states in their order from left to right, and what leads from one to the next."""
    edges: dict[tuple[State, State], list[str]] = {}
    for (state, step), following in table.items():
        edges.setdefault((state, following), []).append(str(step.value))
    desc = " ".join(
        f"From {state.name} to {following.name}: {'; '.join(steps)}."
        for (state, following), steps in edges.items()
    )
    states = sorted({state for edge in edges for state in edge})
    around = [edge for edge in edges if edge[1] - edge[0] > 1]
    below = TOP + TALL + 56
    height = below + max(len(edges[edge]) for edge in around) * LINE + 16
    canvas = Canvas(WIDTH, height, title, desc)
    canvas.text((LEFT, 36), title, "title")
    place = {state: LEFT + (BOX + GAP) * index for index, state in enumerate(states)}
    for state, x in place.items():
        kind = {State.OPEN: "ours", State.CLOSED: "gone"}.get(state, "box")
        canvas.box(kind, (x, TOP), (BOX, TALL), [state.name, MEANING[state]])
    for (state, following), steps in edges.items():
        start, end = place[state], place[following]
        if following - state == 1:
            canvas.line("", [(start + BOX, TOP + TALL / 2), (end, TOP + TALL / 2)], tips=">")
            first, middle = TOP + TALL / 2 - 12 - LINE * (len(steps) - 1), (start + BOX + end) / 2
        else:
            corners = [(start + BOX / 2, below), (end + BOX / 2, below)]
            path = [(start + BOX / 2, TOP + TALL), *corners, (end + BOX / 2, TOP + TALL)]
            canvas.line("", path, tips=">")
            first, middle = below + 20, (start + end + BOX) / 2
        for index, words in enumerate(steps):
            canvas.text((middle, first + LINE * index), words, "small", anchor="middle")
    return str(canvas)
