"""What the measured applications have in common: what the environment asks for, and what they answer."""

from __future__ import annotations

import _thread
import functools
import json
import os
import sys
from typing import Any, NoReturn

__all__ = ["BUSY", "DEFLATE", "MAX_SIZE", "answer_json", "deflate", "hello_asgi", "spin_when_asked"]

#: The variable that asks for a thread that spins, and the one that asks for compression.
BUSY, DEFLATE = "BENCHMARK_BUSY", "BENCHMARK_DEFLATE"
#: The largest message that a server has to take.
MAX_SIZE = 16 * 2**20


def deflate() -> bool:
    """Say whether messages are to be compressed, where a library does not do so by itself."""
    return os.environ.get(DEFLATE) == "1"


def answer_json(text: str | bytes) -> str:
    """Read a message and write it again; the load generator compares what comes back."""
    return json.dumps(json.loads(text), separators=(",", ":"))


def spin() -> NoReturn:
    """Compute in pure Python, as a thread that renders a page does, and never wait for anything."""
    count = 0
    while True:
        count = (count + 1) & 0xFFFF


@functools.cache
def spin_when_asked() -> None:
    """Start one thread that keeps the interpreter's lock, where that is what is measured."""
    if os.environ.get(BUSY) != "1":
        return
    if "gevent.monkey" in sys.modules:  # its threads are greenlets, which would never let another one run
        import gevent

        gevent.get_hub().threadpool.spawn(spin)
    else:
        _thread.start_new_thread(spin, ())


async def hello_asgi(send: Any) -> None:
    """Answer plain HTTP beside the WebSockets."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"6")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello\n"})
