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
import threading
from typing import Protocol

__all__ = ["Cork", "Corkable", "corked"]

logger = logging.getLogger("ws4py_middleware")


class Corkable(Protocol):
    """What can hold back what it sends."""

    def uncork(self) -> None: ...


#: What is held back, by thread; empty most of the time, so that it costs others nothing to ask.
corked: dict[int, dict[Corkable, None]] = {}
# A forked child has none of its parent's threads, but may have a thread of the same number.
os.register_at_fork(after_in_child=corked.clear)


class Cork:
    """Holds back what its thread, or greenlet, sends to many, until the block ends."""

    __slots__ = ("_held", "_ident")

    def __init__(self) -> None:
        self._held: dict[Corkable, None] = {}
        self._ident = 0

    def __enter__(self) -> Cork:
        self._ident = threading.get_ident()
        # Inside another it has nothing to do.
        corked.setdefault(self._ident, self._held)
        return self

    def __exit__(self, *_: object) -> None:
        if corked.get(self._ident) is self._held:
            del corked[self._ident]
        self.flush()

    def flush(self) -> None:
        """Let everything leave that is held so far."""
        held = self._held
        while held:
            link, _ = held.popitem()
            try:
                link.uncork()
            except Exception:  # one connection's fault is not that of the others
                logger.exception("an error of ws4py_middleware")
