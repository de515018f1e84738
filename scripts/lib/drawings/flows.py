"""What flows where: a message through the rooms, and what waits for a peer that does not keep up."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.lib.drawings.canvas import Canvas

__all__ = ["draw"]

WIDTH = 880


def draw() -> Mapping[str, str]:
    """Return the pictures by the names of their files."""
    return {"message.svg": str(_draw_message()), "backpressure.svg": str(_draw_queue())}


def _draw_message() -> Canvas:
    canvas = Canvas(
        WIDTH,
        292,
        "A message on its way",
        "In: the poller wakes the loop, dispatching gives the connection a turn, incoming reads, core "
        "parses, the hook is called. Out: sending, core/outbox, outgoing, in one system call when the "
        "hook returns.",
    )
    canvas.text((24, 30), "A message on its way, and the answer", "title")
    canvas.box("box", (24, 60), (90, 196), ["client"])
    canvas.box("ours", (740, 60), (116, 196), ["your hook", "called without", "a lock, one at", "a time"])
    first, second = 96.0, 220.0
    for x, width, words in (
        (164, 158, ["poller, dispatching", "it is this one's turn"]),
        (372, 118, ["incoming", "one read"]),
        (540, 150, ["core/connection", "frames, messages"]),
    ):
        canvas.box("box", (x, first - 36), (width, 72), words)
    for start, end in ((114, 164), (322, 372), (490, 540), (690, 740)):
        canvas.line("live", [(start, first), (end, first)], tips=">")
    for x, width, words in (
        (164, 158, ["outgoing", "one write"]),
        (372, 118, ["core/outbox", "frames, queued"]),
        (540, 150, ["sending", "text, bytes, pieces"]),
    ):
        canvas.box("box", (x, second - 36), (width, 72), words)
    for start, end in ((740, 690), (540, 490), (372, 322), (164, 114)):
        canvas.line("live", [(start, second), (end, second)], tips=">")
    canvas.line("look", [(615, first + 36), (615, 158), (431, 158), (431, second - 36)], tips=">")
    canvas.text((523, 152), "pongs, Close frames", "small quiet", anchor="middle")
    return canvas


def _draw_queue() -> Canvas:
    canvas = Canvas(
        WIDTH,
        250,
        "What waits for a peer that does not keep up",
        "The kernel's buffer, then the connection's queue. Up to write_high_water everybody sends. From "
        "there to write_limit those who can wait do. Beyond it the queue_policy decides.",
    )
    canvas.text((24, 30), "What waits for a peer that does not keep up", "title")
    top, height = 74.0, 64.0
    canvas.box("box", (24, top), (90, height), ["peer", "reads"])
    for x, width, kind, words in (
        (140, 130, "area", ["kernel", "some MiB"]),
        (286, 130, "box", ["queue", "64 KiB"]),
        (416, 260, "ours", ["queue", "up to 1 MiB"]),
        (676, 180, "dummy", ["queue_policy", "decides"]),
    ):
        canvas.box(kind, (x, top), (width, height), words)
    canvas.line("live", [(140, top + 32), (114, top + 32)], tips=">")
    canvas.line("live", [(286, top + 32), (270, top + 32)], tips=">")
    for x, name in ((416, "write_high_water"), (676, "write_limit")):
        canvas.line("cut", [(x, top - 14), (x, top + height + 18)])
        canvas.text((x, top - 20), name, "code", anchor="middle")
    below = top + height + 40
    for x, lines in (
        (286, ["everybody sends"]),
        (424, ["with “block”, who can wait does;", "hooks and broadcasts go on;", "the peer is not read"]),
        (684, ["drop a message, or", "disconnect with 1013"]),
    ):
        for number, line in enumerate(lines):
            canvas.text((x, below + 18 * number), line, "small")
    return canvas
