"""What hostile clients send as fast as they can, and bombs."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from typing import NamedTuple

from tests.promises.attacker import DEFLATE, upgrade
from tests.promises.wire import (
    BINARY,
    CONTINUATION,
    NO_KEY,
    PING,
    TEXT,
    KiB,
    MiB,
    close_frame,
    deflate,
    frame,
)
from tests.servers import Server

__all__ = ["FLOODS", "ZEROS", "Flood", "attack_with", "make_bomb"]

ZEROS = bytes(MiB)


def make_bomb(size: int) -> bytes:
    """Become a thousand times larger when inflated: a MiB of zeros, again and again."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12, 9)
    once = compressor.compress(ZEROS) + compressor.flush(zlib.Z_FULL_FLUSH)
    assert len(once) < 1100
    return (once * (size // KiB))[:-4]


class Flood(NamedTuple):
    """What is sent again and again, and where to."""

    path: str
    chunk: bytes
    compressed: bool = False
    #: The answers are read, and thrown away.
    reads: bool = False
    #: Most bytes in one write.
    step: int | None = None


FLOODS: dict[str, Flood] = {
    "tiny messages": Flood("/sink", (frame(TEXT) + frame(TEXT, b"x")) * 5000),
    "tiny fragments": Flood("/sink", (frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 4000) * 2),
    "messages in fragments": Flood(
        "/sink",
        (frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * 1000 + frame(CONTINUATION))
        * 10,
    ),
    "pings between messages": Flood("/sink", (frame(PING, b"p" * 125) * 200 + frame(TEXT)) * 10),
    "pings": Flood("/sink", frame(PING) * 1000),
    "1 MiB of text": Flood("/sink", frame(TEXT, b"\xc3\xa4" * (MiB // 2), key=b"\1\2\3\4")),
    "64 KiB": Flood("/sink", frame(BINARY, ZEROS[: 64 * KiB], key=NO_KEY) * 16),
    "echoes": Flood("/echo", frame(TEXT, b"x" * 32) * 1000, reads=True),
    "echoes of a function": Flood("/function", frame(TEXT, b"x" * 32) * 1000, reads=True),
    "1-byte writes": Flood("/echo", frame(TEXT, b"x" * 10) * 1000, reads=True, step=1),
    "closes": Flood("/echo", close_frame(1000)),
    "garbage": Flood("/echo", b"\xff" * 64),
    "bombs": Flood("/deflate", frame(BINARY, make_bomb(64 * KiB), rsv=4, key=NO_KEY), compressed=True),
    "small bombs": Flood("/deflate-sink", frame(BINARY, deflate(ZEROS), rsv=4) * 200, compressed=True),
    "deflated echoes": Flood(
        "/deflate", frame(TEXT, deflate(b"a tiny text"), rsv=4) * 1000, compressed=True, reads=True
    ),
}


def attack_with(server: Server, flood: Flood) -> Callable[[threading.Event], None]:
    """Return what one attacker does, who comes back whenever it is thrown out; see :class:`.Attack`."""

    def once(stop: threading.Event) -> None:
        with upgrade(server, flood.path, DEFLATE if flood.compressed else None) as peer:
            while not stop.is_set():
                limit = 4 * len(flood.chunk)
                peer.flood(flood.chunk, seconds=0.1, limit=limit, reads=flood.reads, step=flood.step)
                if len(flood.chunk) < KiB:  # it ends the connection
                    peer.read_to_end()
                    break
            peer.reset()  # nobody has to work off the rest

    return once
