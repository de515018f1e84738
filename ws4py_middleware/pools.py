"""
A bounded pool of threads whose end nobody has to wait for.

Those of :mod:`concurrent.futures` are joined when the interpreter exits: one hook that blocks would keep a
process alive that was told to end.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

__all__ = ["DaemonPool"]

_T = TypeVar("_T")


class DaemonPool(Executor):
    """
    Run functions in daemon threads, which are started when there is none idle.

    Args:
        limit: Most threads at once; what comes then waits.
        name: What the names of the threads begin with.
    """

    def __init__(self, limit: int, name: str) -> None:
        #: Most threads at once; it may be changed, and ends none.
        self.limit = limit
        self._name = name
        self._lock = threading.Lock()
        self._count = 0
        self._ended = False
        self._idle = threading.Semaphore(0)
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()

    def submit(self, function: Callable[..., _T], /, *args: Any, **options: Any) -> Future[_T]:
        """
        Let a thread call a function.

        Raises:
            RuntimeError: The pool has ended.
        """
        future: Future[_T] = Future()
        with self._lock:
            if self._ended:
                raise RuntimeError("this pool of threads has ended")
            self._calls.put((future, lambda: function(*args, **options)))
            if not self._idle.acquire(blocking=False) and self._count < self.limit:
                self._count += 1
                name = f"{self._name}_{self._count}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """Let the threads end when all is done; nobody waits for that."""
        with self._lock:
            self._ended = True
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._next()) is not None:
            future, function = call
            if future.set_running_or_notify_cancel():
                try:
                    result = function()
                except BaseException as error:  # noqa: BLE001 - it is told to who waits
                    future.set_exception(error)
                else:
                    future.set_result(result)
                    del result
            # What they hold is not to be kept until the next one comes.
            del call, future, function
        self._calls.put(None)  # for the next thread

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        try:
            return self._calls.get_nowait()
        except queue.Empty:
            self._idle.release()
            return self._calls.get()
