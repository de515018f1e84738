"""
A few threads that dial for all clients that managers have; none waits for a single client.

They are there while there is something to do, now or at some time to come, and no longer.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from ..timers import TimerHeap

__all__ = ["Dialers", "get_dialers"]

logger = logging.getLogger("ws4py_middleware")

#: Most threads of a process that dial at once.
_LIMIT = 16


class Dialers:
    """
    Do errands at their time, in a bounded number of threads. Safe from any thread.

    Args:
        limit: Most threads.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._changed = threading.Condition(threading.Lock())
        self._timers: TimerHeap[Callable[[], None]] = TimerHeap()
        self._due: deque[Callable[[], None]] = deque()
        self._count = 0
        self._idle = 0

    def later(self, when: float, errand: Callable[[], None]) -> None:
        """Have something done at a point in time, or as soon as one of the threads has finished something."""
        with self._changed:
            self._timers.set(errand, when)
            self._call_somebody()

    def cancel(self, errand: Callable[[], None]) -> None:
        """Forget something; if it is being done already, it goes on."""
        with self._changed:
            self._timers.cancel(errand)
            self._changed.notify_all()

    def _call_somebody(self) -> None:
        if self._idle:
            self._changed.notify()
        elif self._count < self._limit:
            self._count += 1
            threading.Thread(target=self._run, name="WebSocket dialer", daemon=True).start()

    def _run(self) -> None:
        while (errand := self._next()) is not None:
            try:
                errand()
            except BaseException:
                logger.exception("a fault of ours in connecting again")
            del errand  # it is not to be kept until the next one comes

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while True:
                self._due.extend(self._timers.pop_due(monotonic()))
                if self._due:
                    errand = self._due.popleft()
                    if self._due or self._timers:
                        self._call_somebody()  # it comes at its time, also if this one takes long
                    return errand
                when = self._timers.next()
                if when is None:
                    self._count -= 1
                    return None
                self._idle += 1
                self._changed.wait(max(when - monotonic(), 0))
                self._idle -= 1


_dialers = Dialers()


def get_dialers() -> Dialers:
    """Return those of this process."""
    return _dialers


def _after_fork() -> None:
    global _dialers
    _dialers = Dialers()  # the parent's threads are not here, and its clients are not ours


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
