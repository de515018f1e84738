"""An asyncio loop that runs until there is nothing to do, and whose time is a test's clock."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

from .clocks import Clock

__all__ = ["SteppedLoop"]

#: After so many rounds in one step somebody else has a turn: a task may never wait for anything.
_ROUNDS = 1000

#: A timer that is due so soon is due now: times that are added up in different ways are not quite the same.
_BLUR = 1e-6


class _Selector(selectors.DefaultSelector):
    """Tells when its loop would have to wait, and does not let it."""

    def __init__(self) -> None:
        super().__init__()
        #: How many rounds the loop has made in this step that were of use.
        self.rounds = 0
        #: How long the loop would wait; ``None``: until something comes from elsewhere.
        self.timeout: float | None = None
        #: Whether a timer is nearly due.
        self.is_due = False
        #: Called when it would.
        self.on_idle: Callable[[], object] = bool

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.is_due = timeout is not None and 0 < timeout <= _BLUR
        if ready or self.is_due or (timeout is not None and timeout <= 0):
            self.rounds += 1
            self.timeout = 0.0
            if self.rounds >= _ROUNDS:
                self.on_idle()
        else:
            self.timeout = timeout
            self.on_idle()
        return ready


class SteppedLoop(asyncio.SelectorEventLoop):
    """
    A loop that is stepped.

    Args:
        clock: Its time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steps = _Selector()
        self._jobs = 0
        super().__init__(self._steps)
        self._steps.on_idle = self.stop

    def step(self) -> bool:
        """
        Run everything that can be run now; return whether there was anything.

        Raises:
            RuntimeError: Another loop runs in this thread.
        """
        if self.is_running():
            return False
        self._steps.rounds = 0
        self.run_forever()
        return self._steps.rounds > 0

    @property
    def next_deadline(self) -> float | None:
        """When the next timer is due, as of the last step."""
        timeout = self._steps.timeout
        return None if timeout is None else self.time() + timeout

    @property
    def is_busy(self) -> bool:
        """Whether threads are at work for this loop."""
        return self._jobs > 0

    def time(self) -> float:
        """Return the clock's time."""
        return self._clock() + 2 * _BLUR if self._steps.is_due else self._clock()

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """Let the loop call something; from any thread."""
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self._clock.ring()
        return handle

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Let a thread call something."""
        self._jobs += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _: object) -> None:
        self._jobs -= 1
