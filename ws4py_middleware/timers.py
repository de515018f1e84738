"""
One heap of timers for all connections of a manager.

Nothing is pushed for a message: a timer that fires finds out for itself whether
its time has moved on, and is pushed again.
"""

from __future__ import annotations

import heapq
from _thread import RLock
from math import ceil
from typing import Any, Generic, TypeVar

__all__ = ["NO_TICK", "TimerHeap"]

_Owner = TypeVar("_Owner")

#: Times are rounded up to so many a second. Who is due at nearly the same time stands in one place: ten
#: thousand keepalives cost neither an entry of the heap nor a wake-up each.
_TICKS = 64

#: From so many owners of one tick on, they are a set: one that leaves is not looked for among all. Of fewer
#: there is a list, which takes a fraction of the memory.
_MANY = 128

#: The tick of an owner that has none.
NO_TICK = -1


class TimerHeap(Generic[_Owner]):
    """
    Points in time, at most one an owner, the earliest first. Safe from any thread.

    They are rounded up: nobody is due too early, and nobody later than a 64th of a second.

    An owner that has an attribute ``tick``, :data:`NO_TICK` at first, is in one heap at a time, and what is
    known of it stands there; for all others there is a dictionary.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        # Their numbers: of one that has no owners any more there may be a leftover, until it is its turn.
        self._heap: list[int] = []
        # By the number of a tick: who is due then.
        self._due: dict[int, list[_Owner] | set[_Owner]] = {}
        self._ticks: dict[_Owner, int] = {}

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._due.values()))

    def set(self, owner: _Owner, when: float) -> bool:
        """
        Set, or move, an owner's time.

        Returns:
            Whether it is now the earliest of all, so that whoever waits has to wake up.
        """
        number = ceil(when * _TICKS)
        with self._lock:
            former = self._get_tick(owner)
            if former == number:
                return False
            if former != NO_TICK:
                self._take_out(owner, former)
            self._set_tick(owner, number)
            owners = self._due.get(number)
            if owners is not None:
                if isinstance(owners, set):
                    owners.add(owner)
                elif len(owners) < _MANY:
                    owners.append(owner)
                else:
                    self._due[number] = {owner, *owners}
                return False
            self._due[number] = [owner]
            heapq.heappush(self._heap, number)
            self._compact()
            return self._heap[0] == number

    def cancel(self, owner: _Owner) -> None:
        """Forget an owner; one that has no time is left alone."""
        with self._lock:
            former = self._get_tick(owner)
            if former != NO_TICK:
                self._set_tick(owner, NO_TICK)
                self._take_out(owner, former)
                self._compact()

    def _get_tick(self, owner: _Owner) -> int:
        tick: int | None = getattr(owner, "tick", None)
        return self._ticks.get(owner, NO_TICK) if tick is None else tick

    def _set_tick(self, owner: Any, number: int) -> None:
        if hasattr(owner, "tick"):
            owner.tick = number
        elif number == NO_TICK:
            self._ticks.pop(owner, None)
        else:
            self._ticks[owner] = number

    def _take_out(self, owner: _Owner, number: int) -> None:
        owners = self._due.get(number)
        if owners is not None and owner in owners:
            if len(owners) == 1:
                del self._due[number]
            else:
                owners.remove(owner)

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
                for owner in self._due.pop(heapq.heappop(heap), ()):
                    self._set_tick(owner, NO_TICK)
                    due.append(owner)
        return due
