"""
One heap of timers for all connections of a manager.

Nothing is pushed for a message: a timer that fires finds out for itself whether
its time has moved on, and is pushed again.
"""

from __future__ import annotations

import heapq
import itertools
from _thread import RLock
from typing import Generic, TypeVar

__all__ = ["TimerHeap"]

_Owner = TypeVar("_Owner")


class _Timer(Generic[_Owner]):
    """What stands in the heap for an owner; it lets go of one that was cancelled."""

    __slots__ = ("owner", "when")

    def __init__(self, when: float, owner: _Owner) -> None:
        self.when = when
        self.owner: _Owner | None = owner


class TimerHeap(Generic[_Owner]):
    """Points in time, at most one an owner, the earliest first. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = RLock()
        # The number keeps the heap from comparing timers.
        self._heap: list[tuple[float, int, _Timer[_Owner]]] = []
        self._timers: dict[_Owner, _Timer[_Owner]] = {}
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self._timers)

    def set(self, owner: _Owner, when: float) -> bool:
        """
        Set, or move, an owner's time.

        Returns:
            Whether it is now the earliest of all, so that whoever waits has to wake up.
        """
        with self._lock:
            timer = self._timers.get(owner)
            if timer is not None:
                if timer.when == when:
                    return False
                timer.owner = None
            timer = self._timers[owner] = _Timer(when, owner)
            heapq.heappush(self._heap, (when, next(self._count), timer))
            self._compact()
            return self._heap[0][2] is timer

    def cancel(self, owner: _Owner) -> None:
        """Forget an owner; one that has no time is left alone."""
        with self._lock:
            timer = self._timers.pop(owner, None)
            if timer is not None:
                timer.owner = None
            self._compact()

    def _compact(self) -> None:
        # Timers that were let go of wait in the heap for their time; never many more than the others.
        if len(self._heap) > 2 * len(self._timers) + 64:
            self._heap = [entry for entry in self._heap if entry[2].owner is not None]
            heapq.heapify(self._heap)

    def next(self) -> float | None:
        """Return the earliest time, or ``None``."""
        with self._lock:
            heap = self._heap
            while heap and heap[0][2].owner is None:
                heapq.heappop(heap)
            return heap[0][0] if heap else None

    def pop_due(self, now: float) -> list[_Owner]:
        """Take those whose time has come, the earliest first."""
        due: list[_Owner] = []
        with self._lock:
            heap = self._heap
            while heap and heap[0][0] <= now:
                owner = heapq.heappop(heap)[2].owner
                if owner is not None:
                    del self._timers[owner]
                    due.append(owner)
        return due
