"""
What passes the time in a test: a clock that moves when the test says so, or the real one.

A clock also has the *actors*: whoever does something as time passes, such as the connections of a test and
the manager behind the application. Nobody of them has a thread: :meth:`Clock.settle` lets each do what is
due, one after the other, until there is nothing left to do, and only then the time moves on.
"""

from __future__ import annotations

import selectors
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

__all__ = ["Actor", "Clock", "RealClock", "VirtualClock"]

#: After so many rounds somebody talks to himself, or two to each other for ever.
_ROUNDS = 10_000

#: How long a real wait for threads lasts at most before it is looked at again; seconds.
_LOOK = 0.05

#: Times that are added up in different ways differ by less than this; seconds.
_BLUR = 1e-6


class Actor(Protocol):
    """Who has something to do as time passes."""

    def step(self) -> bool:
        """Do what is due now; return whether there was anything."""

    def next_deadline(self) -> float | None:
        """Return when there is something to do, if nothing comes before."""

    def is_busy(self) -> bool:
        """Tell whether a thread is at work of which something is to be expected."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is something to do; -1: there is none."""


class Clock(ABC):
    """What both clocks do."""

    def __init__(self) -> None:
        self._actors: list[Actor] = []

    @abstractmethod
    def __call__(self) -> float:
        """Return the time: seconds, of a clock that only goes forward."""

    @abstractmethod
    def advance(self, seconds: float) -> None:
        """
        Let so much time pass, and everything happen that belongs there: pings, timeouts, closes.

        Raises:
            ValueError: The time would go backwards.
        """

    @abstractmethod
    def run(self, done: Callable[[], bool], timeout: float) -> bool:
        """Let things happen until it is done, or so many seconds have passed; return whether it is done."""

    def ring(self) -> None:
        """Say, from any thread, that there is something to do."""
        return

    def park(self, number: int) -> None:
        """Say that so many threads more, or less, wait for this clock, or for what somebody else does."""
        return

    def attach(self, actor: Actor) -> None:
        """Let somebody take part."""
        self._actors.append(actor)

    def detach(self, actor: Actor) -> None:
        """Let somebody take part no more; again does nothing."""
        if actor in self._actors:
            self._actors.remove(actor)

    def settle(self) -> None:
        """
        Let everything happen that is due now.

        Raises:
            RuntimeError: There is no end of it.
        """
        for _ in range(_ROUNDS):
            moved = [actor.step() for actor in list(self._actors)]
            if not any(moved):
                return
        raise RuntimeError(f"after {_ROUNDS} rounds there is still more to do: who answers whom for ever?")


class VirtualClock(Clock):
    """
    A clock that stands still until a test moves it.

    To wait is to move it, too: what waits five seconds for a message that does not come finds the clock five
    seconds later, at once.

    Threads are the exception, such as those of handlers that are functions: they run in real time, and are
    waited for in real time. How long such a handler waits in ``receive(timeout=...)`` goes by this clock.

    Args:
        patience: How long a thread may be at work before the clock moves on all the same; real seconds.

    >>> clock = VirtualClock()
    >>> began = clock()
    >>> clock.advance(3600)
    >>> clock() - began
    3600.0
    """

    def __init__(self, *, patience: float = 1.0) -> None:
        super().__init__()
        self.patience = patience
        # From the real time on: what was noted by that clock is not far in the future, or the past.
        self._now = float(round(time.monotonic()))
        self._bell = threading.Condition()
        self._rung = False
        self._parked = 0

    def __call__(self) -> float:
        """Return the time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move it, and stop at each deadline on the way, so that all happens in its order."""
        if seconds < 0:
            raise ValueError(f"the clock cannot go back by {-seconds:g} s")
        target = self._now + seconds
        until = time.monotonic() + self.patience
        self._rest(until)
        while (when := self._next()) is not None and when <= target + _BLUR:
            self._now = max(self._now, when)
            self._rest(until)
        self._now = max(self._now, target)
        self._rest(until)

    def run(self, done: Callable[[], bool], timeout: float) -> bool:
        """Let things happen; when nothing does, move on to the next deadline."""
        limit = self._now + timeout
        until = others_until = time.monotonic() + self.patience
        while True:
            self._rest(until, done)
            if done():
                return True
            began = time.monotonic()
            if self._wait_others(others_until):
                until = others_until = time.monotonic() + self.patience
                continue
            # Those that are known to be at work are not to suffer for those that may be.
            until += time.monotonic() - began
            when = self._next()
            if self._now >= limit and (when is None or when > limit + _BLUR):
                return False
            self._now = limit if when is None or when > limit + _BLUR else max(self._now, when)

    def ring(self) -> None:
        """Say, from any thread, that there is something to do."""
        with self._bell:
            self._rung = True
            self._bell.notify_all()

    def park(self, number: int) -> None:
        """Say that so many threads more, or less, wait for this clock, or for what somebody else does."""
        with self._bell:
            self._parked += number

    def _next(self) -> float | None:
        times = [when for actor in self._actors if (when := actor.next_deadline()) is not None]
        return min(times, default=None)

    def _rest(self, until: float, done: Callable[[], bool] | None = None) -> None:
        """Settle, and wait for those threads of which it is known that they are at work."""
        while True:
            self._take_bell()
            self.settle()
            if done is not None and done():
                return
            if not any(actor.is_busy() for actor in self._actors):
                if not self._take_bell():
                    return
            elif not self._wait_bell(until):
                return

    def _wait_others(self, until: float) -> bool:
        """Wait for threads of which nothing is known; return whether there is something to do."""
        while threading.active_count() > 1 + self._parked and time.monotonic() < until:
            if self._wait_bell(min(until, time.monotonic() + _LOOK)):
                return True
        return False

    def _wait_bell(self, until: float) -> bool:
        with self._bell:
            self._bell.wait_for(lambda: self._rung, max(until - time.monotonic(), 0))
            return self._rung

    def _take_bell(self) -> bool:
        with self._bell:
            rung, self._rung = self._rung, False
            return rung


class RealClock(Clock):
    """The real time, for a server that is really there: to advance it is to wait."""

    def __call__(self) -> float:
        """Return the time."""
        return time.monotonic()

    def advance(self, seconds: float) -> None:
        """Wait, and answer meanwhile what has to be answered, such as pings."""
        if seconds < 0:
            raise ValueError(f"the clock cannot go back by {-seconds:g} s")
        self.run(lambda: False, seconds)

    def run(self, done: Callable[[], bool], timeout: float) -> bool:
        """Let things happen, and wait for what the network brings."""
        limit = time.monotonic() + timeout
        while True:
            self.settle()
            if done():
                return True
            left = limit - time.monotonic()
            if left <= 0:
                return False
            self._wait(left)

    def _wait(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            for actor in self._actors:
                if actor.fileno() >= 0:
                    selector.register(actor.fileno(), selectors.EVENT_READ)
            selector.select(seconds)
