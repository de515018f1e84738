"""What is to be called at a point in time, by a thread that has other things to do as well."""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable

__all__ = ["Alarm", "Alarms"]

logger = logging.getLogger("ws4py_middleware")


class Alarm:
    """What is to be called at a point in time."""

    __slots__ = ("function", "when")

    def __init__(self, when: float, function: Callable[[], object]) -> None:
        self.when = when
        #: ``None`` when it is not to be called any more.
        self.function: Callable[[], object] | None = function

    def __lt__(self, other: Alarm) -> bool:
        return self.when < other.when

    def ring(self) -> None:
        """Call it."""
        function, self.function = self.function, None
        if function is not None:
            try:
                function()
            except Exception:
                logger.exception("an error of ws4py_middleware")


class Alarms:
    """Those of one thread. Anybody may add some; all else is the thread's own."""

    def __init__(self) -> None:
        self._new: deque[Alarm] = deque()
        self._heap: list[Alarm] = []

    def __bool__(self) -> bool:
        return bool(self._heap or self._new)

    def add(self, when: float, function: Callable[[], object]) -> Alarm:
        """Add one; whoever adds it wakes the thread."""
        alarm = Alarm(when, function)
        self._new.append(alarm)
        return alarm

    def ring(self, now: float) -> None:
        """Call what is due."""
        while self._new:
            heapq.heappush(self._heap, self._new.popleft())
        while self._heap and self._heap[0].when <= now:
            heapq.heappop(self._heap).ring()

    def delay(self, now: float, longest: float) -> float:
        """Return how long to wait for the next one, at most so many seconds."""
        return max(0.0, min(longest, self._heap[0].when - now)) if self._heap else longest

    def forget_idle(self) -> None:
        """Forget those that are not to be called any more."""
        self._heap = [alarm for alarm in self._heap if alarm.function is not None]
        heapq.heapify(self._heap)
