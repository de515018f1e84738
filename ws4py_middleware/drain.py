"""
Drains: how the connections of a process end, when the process does.

A drain closes each connection at its own moment of a *window*, so that not all clients come back at
once, and with what was queued for it sent before; it waits a *grace* time for the answers, and cuts
those that are left. It is driven by the timers of its manager, and by whoever waits for its end: a
step may be made by any thread, at any time, and again.
"""

from __future__ import annotations

import logging
from _thread import RLock
from collections import deque
from typing import Any, NamedTuple

from .core.frames import check_close_code
from .core.policy import Policy

__all__ = ["GOING_AWAY", "RESTART", "Drain", "Ending"]

logger = logging.getLogger("ws4py_middleware")

_DEFAULTS = Policy()


#: What two readings of a clock may differ by that mean the same time; seconds.
_SAME_TIME = 0.1


class Ending(NamedTuple):
    """What peers are told of the end, :rfc:`6455#section-7.4.1`."""

    code: int
    reason: str


#: The process ends, and perhaps nothing comes after it.
GOING_AWAY = Ending(1001, "Server is shutting down")

#: There is, or will be in a moment, another process in its place: come back.
RESTART = Ending(1012, "Server is restarting")


class Drain:
    """
    One drain of one manager.

    Args:
        manager: Whose connections.
        ending: What they are told.
        now: When it begins.
        window: The time over which they are closed; ``None``: each connection's ``policy.drain_window``.
        grace: How long they have for the answer; ``None``: each connection's ``policy.drain_grace``.
        limit: Most seconds in all; what does not fit is made to. ``None``: none.
        final: Whether those that come meanwhile are cut at the end as well.

    Raises:
        ValueError: The code may not be sent, :rfc:`6455#section-7.4`, or a time is below 0.
    """

    def __init__(
        self,
        manager: Any,
        ending: Ending,
        now: float,
        *,
        window: float | None = None,
        grace: float | None = None,
        limit: float | None = None,
        final: bool = True,
    ) -> None:
        check_close_code(ending.code)
        for name, value in (("window", window), ("grace", grace), ("timeout", limit)):
            if value is not None and value < 0:
                raise ValueError(f"{name} is {value}; it is a number of seconds, 0 or more")
        self.ending = ending
        self.final = final
        #: Whether all that it does is done.
        self.is_over = False
        self._manager = manager
        self._lock = RLock()
        members = list(manager)
        self._members = [] if final else members
        due: list[tuple[float, Any]] = []
        self._end = now
        for number, websocket in enumerate(members):
            link = getattr(websocket, "_link", None)
            policy = _DEFAULTS if link is None else link.policy
            own_grace = policy.drain_grace if grace is None else grace
            own_window = (policy.drain_window or 0.0) if window is None else window
            if limit is not None:
                own_window = max(0.0, min(own_window, limit - min(own_grace, limit / 2)))
            due.append((now + own_window * number / len(members), websocket))
            self._end = max(self._end, now + own_window + own_grace)
        if limit is not None:
            self._end = min(self._end, now + limit)
        self._due = deque(sorted(due, key=lambda item: item[0]))

    def step(self, now: float) -> float | None:
        """
        Do what is due.

        Returns:
            When there will be more to do; ``None``: it is over.
        """
        self._close(now)
        with self._lock:
            if now < self._end:
                return self._due[0][0] if self._due else self._end
            was_over, self.is_over = self.is_over, True
        if not was_over:
            self._cut()
        return None

    def hasten(self, when: float) -> None:
        """Have it end at some time at the latest; if that is really sooner, all are closed now."""
        with self._lock:
            is_sooner = when < self._end - _SAME_TIME
            self._end = min(when, self._end)
        if is_sooner:
            self.close_rest()

    def close_rest(self) -> None:
        """Begin the closing handshake of all whose moment has not come."""
        self._close(float("inf"))

    def _close(self, until: float) -> None:
        # One by one, and without the lock: a close() of the application's own may do anything.
        while True:
            with self._lock:
                if not self._due or self._due[0][0] > until:
                    return
                websocket = self._due.popleft()[1]
            try:
                websocket.close(code=self.ending.code, reason=self.ending.reason)
            except Exception:
                logger.exception("%r could not be closed", websocket)

    def _cut(self) -> None:
        for websocket in list(self._manager) if self.final else self._members:
            try:
                websocket.terminate()
            except Exception:
                logger.exception("%r could not be ended", websocket)
        self._members = []

    # --- as an owner of a timer ------------------------------------------------------------

    def on_deadline(self, now: float) -> None:
        """Do what is due, and come back for what is not."""
        if self.is_over or (self.final and not self._due and not len(self._manager)):
            return
        when = self.step(now)
        if when is not None:
            self._manager.schedule(self, when)

    def on_fault(self, error: Exception) -> None:
        """Log a fault of ours; whoever waits for the end goes on with it."""
        logger.error("a fault while connections were closed", exc_info=error)
