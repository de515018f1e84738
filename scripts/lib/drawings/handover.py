"""The moments of a hand-over, each a picture; ``docs/topics/handover.md`` tells what happens in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from scripts.lib.drawings.canvas import Canvas

__all__ = ["MOMENTS", "draw"]

WIDTH, HEIGHT = 880, 372

# Where things stand in all of them.
CLIENT = (24.0, 112.0), (118.0, 60.0)
SERVER = (206.0, 76.0), (336.0, 252.0)
SOCKET = (226.0, 112.0), (140.0, 60.0)
AHEAD = (382.0, 112.0), (140.0, 60.0)
WORKER = (226.0, 240.0), (296.0, 66.0)
OURS = (582.0, 76.0), (274.0, 252.0)
TRANSPORT = (602.0, 112.0), (104.0, 60.0)
SINK = (602.0, 190.0), (104.0, 40.0)
MANAGER = (742.0, 112.0), (96.0, 194.0)

ROW = 142.0  # the middle of the first row
BELOW = 210.0  # the middle of the second
ABOVE = 54.0  # where the client's line passes the server
STRAIGHT = [(142.0, ROW), (226.0, ROW)]
AROUND = [(83.0, 112.0), (83.0, ABOVE), (654.0, ABOVE), (654.0, 112.0)]
DUMMY = [(296.0, 172.0), (296.0, BELOW), (602.0, BELOW)]


@dataclasses.dataclass(frozen=True)
class Moment:
    """One of the pictures."""

    #: Of the file: ``handover_<name>.svg``.
    name: str
    title: str
    desc: str
    draw: Callable[[Canvas], None]


def _frame(canvas: Canvas, worker: tuple[str, ...], manager: tuple[str, ...]) -> None:
    canvas.box("area", *SERVER)
    canvas.text((226, 99), "web server", "quiet")
    canvas.box("area", *OURS)
    canvas.text((668, 99), "ws4py_middleware", "quiet")
    canvas.box("box", *CLIENT, ["client"])
    canvas.box("box", *WORKER, worker)
    canvas.box("ours", *MANAGER, manager)


_RUNS = ("worker", "runs your application")
_OTHERS = ("manager", "has the", "others")


def _before(canvas: Canvas) -> None:
    _frame(canvas, _RUNS, _OTHERS)
    canvas.line("live", STRAIGHT, tips="<>")
    canvas.box("box", *SOCKET, ["its socket", "the connection"])
    canvas.box("box", *AHEAD, ["read ahead", "first frames, perhaps"])
    canvas.line("", [(366, ROW), (382, ROW)])


def _located(canvas: Canvas) -> None:
    _before(canvas)
    canvas.box("ours", *TRANSPORT, ["adapter", "looks up"])
    canvas.line("look", [(602, ROW), (522, ROW)], tips=">")
    canvas.line("look", [(654, 172), (654, BELOW), (296, BELOW), (296, 172)], tips=">")
    canvas.text((420, BELOW - 8), "where is it?", "small quiet")


def _dummied(canvas: Canvas) -> None:
    _frame(canvas, _RUNS, _OTHERS)
    canvas.line("live", AROUND, tips="<>")
    canvas.line("dummy", DUMMY)
    canvas.text((390, BELOW - 8), "a socket pair", "small quiet")
    canvas.box("dummy", *SOCKET, ["its socket", "one end of a pair"])
    canvas.box("box", *AHEAD, ["read ahead", "first frames, perhaps"])
    canvas.box("ours", *TRANSPORT, ["transport", "the connection"])
    canvas.box("dummy", *SINK, ["sink"])


def _taken(canvas: Canvas) -> None:
    _frame(canvas, _RUNS, ("manager", "is given", "both"))
    canvas.line("live", AROUND, tips="<")
    canvas.text((330, ABOVE + 15), "101 Switching Protocols", "small")
    canvas.line("dummy", DUMMY)
    canvas.box("dummy", *SOCKET, ["its socket", "one end of a pair"])
    canvas.box("gone", *AHEAD, ["read ahead", "nothing any more"])
    canvas.line("live", [(522, ROW), (602, ROW)], tips=">")
    canvas.text((528, ROW - 10), "frames", "small")
    canvas.box("ours", *TRANSPORT, ["transport", "the connection"])
    canvas.box("dummy", *SINK, ["sink"])
    canvas.line("live", [(706, ROW), (742, ROW)], tips=">")
    canvas.line("dummy", [(706, BELOW), (742, BELOW)], tips=">")


def _closed(canvas: Canvas) -> None:
    _frame(canvas, ("worker", "writes its log, closes the socket, is free"), ("manager", "reads", "both"))
    canvas.line("live", AROUND, tips="<>")
    canvas.line("dummy cut", DUMMY, tips=">")
    canvas.text((352, BELOW - 8), "what it still says, then the end", "small quiet")
    canvas.line("", [(256, 240), (256, 172)], tips=">")
    canvas.box("gone", *SOCKET, ["its socket", "closed"])
    canvas.box("ours", *TRANSPORT, ["transport", "the connection"])
    canvas.box("dummy", *SINK, ["sink"])
    canvas.line("live", [(706, ROW), (742, ROW)], tips="<>")
    canvas.line("dummy", [(706, BELOW), (742, BELOW)], tips=">")


def _managed(canvas: Canvas) -> None:
    _frame(
        canvas, ("worker", "answers the next requests"), ("manager", "one poller", "for all,", "your hooks")
    )
    canvas.line("live", AROUND, tips="<>")
    canvas.text((330, ABOVE + 15), "frames, to and fro", "small")
    canvas.box("ours", *TRANSPORT, ["transport", "the connection"])
    canvas.line("live", [(706, ROW), (742, ROW)], tips="<>")


#: In the order of time.
MOMENTS = (
    Moment(
        "before",
        "1. Before: the request has come, and a worker runs the application",
        "The client's connection ends in the web server's socket. The server may have read its first frames.",
        _before,
    ),
    Moment(
        "located",
        "2. Located: where the socket is, and what was read ahead; nothing is touched",
        "An adapter has found the server's socket and its buffer. The connection is as it was.",
        _located,
    ),
    Moment(
        "dummy",
        "3. The socket pair is in place: the server cannot reach the client any more",
        "The client's connection goes past the server to a transport. The server's socket is one end of a "
        "pair, whose other end, the sink, is ours.",
        _dummied,
    ),
    Moment(
        "taken",
        "4. Taken: what was read ahead is ours, the 101 is sent, the manager gets both",
        "The frames that were read ahead go to the transport, the 101 goes to the client past the server, "
        "and the manager gets the transport and the sink.",
        _taken,
    ),
    Moment(
        "closed",
        "5. The server closes the dummy: its worker is free",
        "The worker writes its log and closes its socket. That is the end of the pair, and of nothing else.",
        _closed,
    ),
    Moment(
        "managed",
        "6. The manager has it: one thread for all, until the WebSocket ends",
        "Nothing of the connection is left in the server. Frames go between the client, the transport and "
        "the manager.",
        _managed,
    ),
)


def draw() -> Mapping[str, str]:
    """Return the pictures by the names of their files."""
    pictures = {}
    for moment in MOMENTS:
        canvas = Canvas(WIDTH, HEIGHT, moment.title, moment.desc)
        canvas.text((24, 30), moment.title, "title")
        moment.draw(canvas)
        pictures[f"handover_{moment.name}.svg"] = str(canvas)
    return pictures
