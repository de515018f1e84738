"""
One heap of timers for all connections of a manager.

Nothing is pushed for a message: a timer that fires finds out for itself whether
its time has moved on, and is pushed again.
"""

from __future__ import annotations

import heapq
from _thread import RLock
from math import ceil
from typing import Generic, TypeVar

__all__ = ["TimerHeap"]

_Owner = TypeVar("_Owner")

#: Times are rounded up to so many a second. Who is due at nearly the same time stands in one place: ten
#: thousand keepalives cost neither an entry of the heap nor a wake-up each.
_TICKS = 64

#: From so many owners of one tick on, they are a set: one that leaves is not looked for among all.
_MANY = 32


class _Tick(Generic[_Owner]):
    """A point in time, and who is due then: a list, or a set when they are many."""

    __slots__ = ("number", "owners")

    def __init__(self, number: int, owner: _Owner) -> None:
        self.number = number
        self.owners: list[_Owner] | set[_Owner] = [owner]

    def add(self, owner: _Owner) -> None:
        owners = self.owners
        if isinstance(owners, set):
            owners.add(owner)
        elif len(owners) < _MANY:
            owners.append(owner)
        else:
            self.owners = {owner, *owners}


class TimerHeap(Generic[_Owner]):
    """
    Points in time, at most one an owner, the earliest first. Safe from any thread.

    They are rounded up: nobody is due too early, and nobody later than a 64th of a second.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        # Their numbers: of one that has no owners any more there may be a leftover, until it is its turn.
        self._heap: list[int] = []
        self._due: dict[int, _Tick[_Owner]] = {}
        self._ticks: dict[_Owner, _Tick[_Owner]] = {}

    def __len__(self) -> int:
        return len(self._ticks)

    def set(self, owner: _Owner, when: float) -> bool:
        """
        Set, or move, an owner's time.

        Returns:
            Whether it is now the earliest of all, so that whoever waits has to wake up.
        """
        number = ceil(when * _TICKS)
        with self._lock:
            former = self._ticks.get(owner)
            if former is not None:
                if former.number == number:
                    return False
                self._take_out(owner, former)
            tick = self._due.get(number)
            if tick is not None:
                tick.add(owner)
                self._ticks[owner] = tick
                return False
            self._due[number] = self._ticks[owner] = _Tick(number, owner)
            heapq.heappush(self._heap, number)
            self._compact()
            return self._heap[0] == number

    def cancel(self, owner: _Owner) -> None:
        """Forget an owner; one that has no time is left alone."""
        with self._lock:
            tick = self._ticks.pop(owner, None)
            if tick is not None:
                self._take_out(owner, tick)
                self._compact()

    def _take_out(self, owner: _Owner, tick: _Tick[_Owner]) -> None:
        if len(tick.owners) == 1:
            del self._due[tick.number]
        else:
            tick.owners.remove(owner)

    def _compact(self) -> None:
        # Leftovers wait in the heap for their time; never many more than the others.
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = sorted(self._due)

    def next(self) -> float | None:
        """Return the earliest time, or ``None``."""
        with self._lock:
            heap = self._heap
            while heap and heap[0] not in self._due:
                heapq.heappop(heap)
            return heap[0] / _TICKS if heap else None

    def pop_due(self, now: float) -> list[_Owner]:
        """Take those whose time has come, the earliest first."""
        due: list[_Owner] = []
        with self._lock:
            heap = self._heap
            limit = now * _TICKS
            while heap and heap[0] <= limit:
                tick = self._due.pop(heapq.heappop(heap), None)
                if tick is not None:
                    for owner in tick.owners:
                        del self._ticks[owner]
                    due.extend(tick.owners)
        return due
