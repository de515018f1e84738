"""What gevent's monkey-patching takes away: threads, their locks, and the kernel's pollers."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from .extras import needs

with needs("gevent", "gevent", __name__):
    from gevent.monkey import get_original

from .pollers import EPollPoller, KQueuePoller, Poller

__all__ = ["HubPoller", "ThreadWaiter", "get_thread", "make_poller"]

#: The number of the calling thread, not of its greenlet.
get_thread: Callable[[], int] = get_original("_thread", "get_ident")
_make_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")

# Of the module select, what is missing when it is patched.
_KQUEUE_NAMES = ("kqueue", "kevent")


class ThreadWaiter:
    """What a thread beside the hub waits on: an event of gevent's would cost it a hub of its own."""

    def __init__(self) -> None:
        self._lock = _make_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Wake it."""
        with contextlib.suppress(RuntimeError):  # it was set before
            self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be woken; return whether that came in time."""
        return bool(self._lock.acquire(timeout=-1 if timeout is None else timeout))


class _EPoll(EPollPoller):
    def __init__(self) -> None:
        Poller.__init__(self)
        self._lock = _make_lock()
        self._epoll = get_original("select", "epoll")()

    def fileno(self) -> int:
        """Return the descriptor that is readable when one of those that were registered is ready."""
        return self._epoll.fileno()


class _KQueue(KQueuePoller):
    def __init__(self) -> None:
        Poller.__init__(self)
        names = {name: value for name, value in vars(select).items() if name.startswith("KQ_")}
        names.update({name: get_original("select", name) for name in _KQUEUE_NAMES})
        self._select = SimpleNamespace(**names)
        self._lock = _make_lock()
        self._kqueue = self._select.kqueue()
        self._interest = {}

    def fileno(self) -> int:
        """Return the descriptor that is readable when one of those that were registered is ready."""
        return int(self._kqueue.fileno())


HubPoller = _EPoll | _KQueue


def make_poller() -> HubPoller:
    """Return a poller that has a descriptor itself, for the hub to watch."""
    return _EPoll() if hasattr(select, "EPOLLIN") else _KQueue()
