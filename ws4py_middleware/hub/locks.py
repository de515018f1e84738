"""The locks of rooms, of which nobody has two, and a bell."""

from __future__ import annotations

import contextlib
import logging
import threading
from _thread import RLock  # never held while anybody waits; greenlets of one thread do not stop each other
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Bell", "RoomLocks"]

logger = logging.getLogger("ws4py_middleware")

_STRIPES = 64
_Result = TypeVar("_Result")


class RoomLocks:
    """
    Makes calls under the lock of a room.

    Whoever has such a lock already may be asked for another one: a member's ``deliver()`` publishes in its
    turn, and so does the handler of a signal that interrupts. That call is made later, when the lock was let
    go. Else two threads could wait for each other, and one message of a room be overtaken by the next.
    """

    def __init__(self) -> None:
        self._stripes: list[Any] = [RLock() for _ in range(_STRIPES)]
        # A thread, or greenlet, is here while it has a lock.
        self._later: dict[int, deque[tuple[str, Callable[[], object]]]] = {}

    @property
    def is_mine(self) -> bool:
        """Whether the caller has one of them."""
        return threading.get_ident() in self._later

    def call(self, room: str, function: Callable[[], _Result]) -> _Result | None:
        """Call a function under the lock of a room; ``None`` when that will only be done later."""
        ident = threading.get_ident()
        later = self._later.get(ident)
        if later is not None:
            later.append((room, function))
            return None
        later = self._later[ident] = deque()
        try:
            with self._stripes[hash(room) % _STRIPES]:
                return function()
        finally:
            del self._later[ident]
            while later:
                try:
                    self.call(*later.popleft())
                except Exception:
                    logger.exception("what a member of the room %r has done could not be completed", room)


class Bell:
    """
    Wakes one thread; what was rung while nobody waited is heard by who waits next.

    It may be rung from anywhere: no lock is taken that the handler of a signal could find taken.
    """

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Wake it."""
        with contextlib.suppress(RuntimeError):  # it was rung already
            self._silence.release()

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds at most; return whether it has rung."""
        return self._silence.acquire(timeout=max(timeout, 0.0))
