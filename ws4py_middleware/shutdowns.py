"""
Shutdowns: close the WebSockets of an event loop before its web server ends.

ASGI servers tell the application of their end, by ``lifespan.shutdown``, when they have waited for
its connections, or have cut them. So SIGTERM and SIGINT are heard here first, from the first
WebSocket on: all are closed with 1001 (1012 where :mod:`.endings` knows of a reload), and when they
are, ``drain_grace`` seconds after the last at most, the server hears of the signal. A second SIGINT, Ctrl-C
pressed again, closes and cuts at once those that are left. There are two ways
for it to have asked for that, and both are public:

* a handler by ``signal.signal()``, as uvicorn's and Daphne's: one of ours is put in its place, which
  calls it afterwards;
* ``loop.add_signal_handler()``, as hypercorn, granian and gunicorn do: the loop reads the numbers of
  signals from the descriptor of ``signal.set_wakeup_fd()``. One of ours is put in its place, and those
  two numbers are passed on afterwards, all others at once.

What neither has asked for, such as SIGTERM without a handler, is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

from .drain import GOING_AWAY
from .endings import SETTLE_TIME, ask_ending
from .tasks import TaskManager

__all__ = ["chain_signals"]

_NUMBERS = (signal.SIGTERM, signal.SIGINT)

#: How long connections have for their end when somebody is in a hurry; seconds.
_HURRY = 0.25

_chained: weakref.WeakSet[TaskManager] = weakref.WeakSet()


def chain_signals(manager: TaskManager) -> bool:
    """
    Close a manager's connections when the process is told to end, and before its server hears of it.

    Args:
        manager: That of the running loop.

    Returns:
        Whether this is the main thread, where that can be done.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    if manager in _chained:
        return True
    _chained.add(manager)
    shutdown = _Shutdown(manager)
    for number in _NUMBERS:
        previous: Any = signal.getsignal(number)
        while isinstance(previous, _Chained) and previous.is_over:
            previous = previous.previous  # of a loop that ran here before
        if callable(previous):
            signal.signal(number, _Chained(shutdown, previous))
    # Behind signal.signal(), which does not touch it.
    fd = signal.set_wakeup_fd(-1)
    if fd != -1:
        _Relayed(shutdown, fd)
    return True


class _Shutdown:
    """The end of all connections of a loop, and what comes after."""

    def __init__(self, manager: TaskManager) -> None:
        self.loop = manager.loop
        self._manager = manager
        self._task: asyncio.Task[None] | None = None
        self._is_interrupted = False

    def begin(self, number: int, then: Callable[[], Any]) -> None:
        """Close all connections because of a signal, and then do something; in the loop's thread."""
        if self._task is None:
            self._task = self.loop.create_task(self._end())
        elif self._is_interrupted and number == signal.SIGINT:
            # Who presses Ctrl-C again does not want to wait. A second SIGTERM is often the first one's echo.
            self._manager.hasten(_HURRY)
        self._is_interrupted |= number == signal.SIGINT
        # Not in the task: what a handler raises, such as KeyboardInterrupt, is for the loop.
        self._task.add_done_callback(lambda task: then())

    async def _end(self) -> None:
        ending, left = ask_ending()
        if ending is None:
            await asyncio.sleep(SETTLE_TIME)
            ending, left = ask_ending(settled=True)
        await self._manager.shutdown_async(left, *(ending or GOING_AWAY))


class _Chained:
    """A signal handler in front of another one."""

    def __init__(self, shutdown: _Shutdown, previous: Callable[[int, FrameType | None], Any]) -> None:
        self._shutdown = shutdown
        self.previous = previous

    @property
    def is_over(self) -> bool:
        """Whether there will be nothing to close any more."""
        return self._shutdown.loop.is_closed()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        loop = self._shutdown.loop
        if loop.is_running():
            then = functools.partial(self.previous, number, None)
            loop.call_soon_threadsafe(self._shutdown.begin, number, then)
        else:
            self.previous(number, frame)


class _Relayed:
    """A descriptor for the numbers of signals in front of another one."""

    def __init__(self, shutdown: _Shutdown, previous: int) -> None:
        self._shutdown = shutdown
        self._previous = previous
        self._reader, writer = os.pipe()
        for fd in (self._reader, writer):
            os.set_blocking(fd, False)
        weakref.finalize(shutdown.loop, _close, self._reader, writer)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        shutdown.loop.add_reader(self._reader, self._read)

    def _read(self) -> None:
        for number in os.read(self._reader, 4096):
            pass_on = functools.partial(self._pass_on, bytes([number]))
            if number in _NUMBERS:
                self._shutdown.begin(number, pass_on)
            else:
                pass_on()

    def _pass_on(self, numbers: bytes) -> None:
        with contextlib.suppress(OSError):  # the loop has its own ideas of who reads what
            os.write(self._previous, numbers)


def _close(reader: int, writer: int) -> None:
    if threading.current_thread() is threading.main_thread():
        current = signal.set_wakeup_fd(-1)
        if current != writer:
            signal.set_wakeup_fd(current)
    os.close(reader)
    os.close(writer)
