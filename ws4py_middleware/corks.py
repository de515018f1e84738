"""
Corks: what one thread sends to many leaves each connection in one piece, not message by message.

::

    with Cork() as cork:
        for message in burst:
            for websocket in room:
                websocket.deliver(message)      # queued
    # Now each connection has made one system call, and each peer was woken up once.

Only what goes to many is held (:meth:`.Outgoing.send_prepared`), and only that of the thread or greenlet
which has the cork; whatever else is sent on one of these connections takes it along, so that the order holds.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Protocol

from .native import get_ident

__all__ = ["Cork", "Corkable", "find_cork", "flush", "hold", "let_go"]

logger = logging.getLogger("ws4py_middleware")


class Corkable(Protocol):
    """What can hold back what it sends, and knows whether it does."""

    is_corked: bool

    def uncork(self) -> None: ...


#: What is held back, by thread; empty most of the time, so that it costs others nothing to ask.
_corks: dict[int, list[Any]] = {}
# A forked child has none of its parent's threads, but may have a thread of the same number.
os.register_at_fork(after_in_child=_corks.clear)


def find_cork() -> list[Any] | None:
    """Return the list onto which the calling thread puts what it holds back; most have none."""
    return _corks.get(get_ident()) if _corks else None


def hold() -> list[Any]:
    """Hold back what the calling thread sends to many from now on, on the list that is returned."""
    return _corks.setdefault(get_ident(), [])


def let_go(ident: int) -> None:
    """Let everything leave that a thread holds back, and hold back nothing more of it; from any thread."""
    held = _corks.pop(ident, None)
    if held is not None:
        flush(held)


class Cork:
    """Holds back what its thread, or greenlet, sends to many, until the block ends."""

    __slots__ = ("_ident", "held")

    def __init__(self) -> None:
        #: What has to be flushed.
        self.held: list[Any] = []
        self._ident = 0

    def __enter__(self) -> Cork:
        self._ident = get_ident()
        # Inside another it has nothing to do.
        _corks.setdefault(self._ident, self.held)
        return self

    def __exit__(self, *_: object) -> None:
        if _corks.get(self._ident) is self.held:
            del _corks[self._ident]
        self.flush()

    def flush(self) -> None:
        """Let everything leave that is held so far."""
        flush(self.held)


def flush(held: list[Any]) -> None:
    """Let everything leave that a list holds, and empty it; from any thread, while its own adds to it."""
    while held:
        try:
            link = held.pop()  # one by one: what came between a copy and its end would be forgotten
        except IndexError:
            return  # another thread flushes it, too
        try:
            link.uncork()
        except Exception:  # one connection's fault is not that of the others
            logger.exception("an error of ws4py_middleware")
