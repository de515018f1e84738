"""
Shutdowns: close the WebSockets of an event loop before its web server ends.

ASGI servers tell the application of their end, by ``lifespan.shutdown``, when they have waited for
its connections, or have cut them. So each handler of SIGTERM and SIGINT that is there when the first
WebSocket comes gets one in front of it, which closes them all with 1001, waits until they are closed,
a second at most, and calls the one behind. What the loop itself has been told by
``add_signal_handler()`` happens at once all the same: that does not depend on Python's handlers.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from .tasks import TaskManager

__all__ = ["DRAIN_TIME", "chain_signals"]

#: How long the closing handshakes have before the server goes on with its own end; seconds.
DRAIN_TIME = 1.0


def chain_signals(manager: TaskManager) -> bool:
    """
    Close a manager's connections when the process is told to end, and before it hears of it.

    Returns:
        Whether this is the main thread, where that can be done.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)
        if callable(previous) and not isinstance(previous, _Chained):
            signal.signal(number, _Chained(loop, manager, previous))
    return True


class _Chained:
    """A signal handler in front of another one."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        manager: TaskManager,
        previous: Callable[[int, FrameType | None], Any],
    ) -> None:
        self.loop = loop
        self.manager = manager
        self.previous = previous
        self.task: asyncio.Task[None] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.task is None and self.loop.is_running():
            self.loop.call_soon_threadsafe(self._begin, number)
        else:
            self.previous(number, frame)  # the second one is urgent

    def _begin(self, number: int) -> None:
        if self.task is None:
            self.task = self.loop.create_task(self.manager.shutdown_async(DRAIN_TIME))
            # Not in the task: what a handler raises, such as KeyboardInterrupt, is for the loop.
            self.task.add_done_callback(lambda task: self.previous(number, None))
