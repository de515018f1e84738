"""
What a client and a server of these tests say to each other: the same words in every library.

A message comes back as it is, unless it is a text that begins with ``!``:

=======================  =============================================================================
``!name KEY``            the name that the connection's end is remembered by
``!closed KEY``          what the server was told of that end: ``!closed CODE REASON``, ``!open`` before
``!close CODE REASON``   close, with this code and reason; with ``-`` without either
``!ping DATA``           send a ping; when its pong comes, say ``!ponged DATA``
``!fragments``           say :data:`FRAGMENTS`, one frame each, with a ping after the first
``!subprotocol``         say ``!subprotocol NAME``: what the server takes to be agreed on
=======================  =============================================================================

``node/server.js`` has the same once more.
"""

from __future__ import annotations

import functools

MiB = 2**20
#: What all ends are set to take.
MAX_SIZE = 17 * MiB

#: The two ways a server is asked for: without compression, and with it.
MODES = ("plain", "deflate")

#: What the servers speak.
SUBPROTOCOLS = ("chat.v2", "chat.v1")

FRAGMENTS = ("one ", "zw\u00f6lf ", "\u20ac", "\U0001f600 ", "end")
FRAGMENTS_PING = b"between"


@functools.cache
def make_text(size: int) -> str:
    """Make a text of so many bytes, of characters of one to four bytes where there is room."""
    pattern = "a\u00e9\u20ac\U0001f600-"  # 11 bytes
    return pattern * (size // 11) + "x" * (size % 11)


@functools.cache
def make_bytes(size: int) -> bytes:
    """Make so many bytes, every value among them."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def parse_command(message: object) -> tuple[str, str]:
    """Return the command in a message, and what is behind it; ``("", "")`` without one."""
    if not isinstance(message, str) or not message.startswith("!"):
        return "", ""
    name, _, rest = message[1:].partition(" ")
    return name, rest


def parse_close(rest: str) -> tuple[int | None, str]:
    """Return the code and reason of ``!close``."""
    code, _, reason = rest.partition(" ")
    return (None if code == "-" else int(code)), reason


class Ends:
    """The ends of the connections that have a name."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def add(self, name: str, code: int | None, reason: object) -> None:
        """Remember an end; a reason is text, its bytes or nothing."""
        words = reason.decode() if isinstance(reason, bytes) else str(reason or "")
        self._known[name] = f"!closed {code} {words}"

    def answer(self, name: str) -> str:
        """Return the answer to ``!closed``."""
        return self._known.get(name, "!open")
