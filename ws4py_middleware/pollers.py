"""
Pollers: which descriptors are ready, by ``epoll``, ``kqueue`` or ``poll``.

Each has ws4py's four methods (``register(fd)``, ``unregister(fd)``, ``poll()``,
``release()``) and the three that the manager works with: :meth:`Poller.modify`,
:meth:`Poller.wait` and :attr:`Poller.needs_wake`.
"""

from __future__ import annotations

import math
import select
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Protocol

from .epolls import HANGUP, READ, WRITE, wait_epoll

__all__ = [
    "HANGUP",
    "READ",
    "WRITE",
    "EPollPoller",
    "ForeignPoller",
    "KQueuePoller",
    "Poller",
    "SelectPoller",
    "Ws4pyPoller",
    "default_poller",
]


class Ws4pyPoller(Protocol):
    """What ws4py asks of a poller, and what one's own poller has at least."""

    def register(self, fd: int) -> None: ...
    def unregister(self, fd: int) -> None: ...
    def poll(self) -> Iterable[int]: ...
    def release(self) -> None: ...


class Poller(ABC):
    """
    A set of descriptors, and the wait for one of them to be ready.

    Readiness is level-triggered. Descriptors may be registered, modified and
    unregistered from any thread while another one waits.

    Args:
        timeout: How long :meth:`poll` waits, in seconds. The manager does not use it.
    """

    #: Whether a change from another thread is seen only by the next :meth:`wait`.
    needs_wake = False

    def __init__(self, timeout: float = 0.1) -> None:
        self.timeout = timeout

    @abstractmethod
    def register(self, fd: int, read: bool = True, write: bool = False) -> None:
        """
        Add a descriptor.

        Raises:
            OSError: It is not open, or cannot be polled.
        """

    @abstractmethod
    def modify(self, fd: int, read: bool, write: bool) -> None:
        """Change what a descriptor is watched for; one that is not registered is left alone."""

    @abstractmethod
    def unregister(self, fd: int) -> None:
        """Remove a descriptor; one that is not registered is left alone."""

    @abstractmethod
    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """
        Wait for readiness.

        Args:
            timeout: Seconds; ``None`` waits for as long as it takes, 0 does not wait.

        Returns:
            Pairs of a descriptor and a combination of ``READ``, ``WRITE`` and ``HANGUP``.
        """

    @abstractmethod
    def release(self) -> None:
        """Free what the poller holds; :meth:`register` puts it in use again. Again does nothing."""

    def poll(self) -> list[int]:
        """Wait once, for at most :attr:`timeout`, and return the descriptors that can be read."""
        return [fd for fd, events in self.wait(self.timeout) if events & (READ | HANGUP)]


class SelectPoller(Poller):
    """
    The poller of every platform: ``poll(2)`` where there is one, else ``select(2)``.

    ``poll`` is a ``select`` without the limit of 1024 descriptors, which froze
    every connection of ws4py's manager when it was passed.
    """

    needs_wake = True

    def __init__(self, timeout: float = 0.1) -> None:
        super().__init__(timeout)
        self._lock = threading.Lock()
        self._interest: dict[int, tuple[bool, bool]] = {}

    def register(self, fd: int, read: bool = True, write: bool = False) -> None:
        """Add a descriptor; see :meth:`Poller.register`."""
        if fd < 0:
            raise ValueError(f"{fd} is not a file descriptor")
        with self._lock:
            self._interest[fd] = (read, write)

    def modify(self, fd: int, read: bool, write: bool) -> None:
        """Change what a descriptor is watched for."""
        with self._lock:
            if fd in self._interest:
                self._interest[fd] = (read, write)

    def unregister(self, fd: int) -> None:
        """Remove a descriptor."""
        with self._lock:
            self._interest.pop(fd, None)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait for readiness; see :meth:`Poller.wait`."""
        with self._lock:
            interest = list(self._interest.items())
        if hasattr(select, "poll"):
            return self._poll(interest, timeout)
        return self._select(interest, timeout)  # pragma: no cover - Windows

    def release(self) -> None:
        """Forget all descriptors."""
        with self._lock:
            self._interest.clear()

    @staticmethod
    def _poll(interest: list[tuple[int, tuple[bool, bool]]], timeout: float | None) -> list[tuple[int, int]]:
        poller = select.poll()
        for fd, (read, write) in interest:
            poller.register(fd, read * select.POLLIN | write * select.POLLOUT)
        ready = []
        for fd, flags in poller.poll(None if timeout is None else max(timeout, 0) * 1000):
            events = 0
            if flags & select.POLLIN:
                events |= READ
            if flags & select.POLLOUT:
                events |= WRITE
            if flags & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                events |= HANGUP
            ready.append((fd, events))
        return ready

    @staticmethod
    def _select(  # pragma: no cover - Windows
        interest: list[tuple[int, tuple[bool, bool]]], timeout: float | None
    ) -> list[tuple[int, int]]:
        readers = [fd for fd, (read, _) in interest if read]
        writers = [fd for fd, (_, write) in interest if write]
        readable, writable, _ = select.select(readers, writers, [], timeout)
        events = dict.fromkeys(readable, READ)
        for fd in writable:
            events[fd] = events.get(fd, 0) | WRITE
        return list(events.items())


class EPollPoller(Poller):
    """The poller of Linux: what it costs does not grow with the number of idle descriptors."""

    def __init__(self, timeout: float = 0.1) -> None:
        super().__init__(timeout)
        self._lock = threading.Lock()
        self._epoll = select.epoll()

    def register(self, fd: int, read: bool = True, write: bool = False) -> None:
        """Add a descriptor; see :meth:`Poller.register`."""
        with self._lock:
            if self._epoll.closed:
                self._epoll = select.epoll()  # in use again after release()
            try:
                self._epoll.register(fd, read * select.EPOLLIN | write * select.EPOLLOUT)
            except FileExistsError:
                self._epoll.modify(fd, read * select.EPOLLIN | write * select.EPOLLOUT)

    def modify(self, fd: int, read: bool, write: bool) -> None:
        """Change what a descriptor is watched for."""
        try:
            self._epoll.modify(fd, read * select.EPOLLIN | write * select.EPOLLOUT)
        except (OSError, ValueError):  # not registered, closed, or released
            return

    def unregister(self, fd: int) -> None:
        """Remove a descriptor; also one that was closed, which the kernel has removed itself."""
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):
            return

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait for readiness; see :meth:`Poller.wait`."""
        return wait_epoll(self._epoll, math.inf if timeout is None else timeout)

    def release(self) -> None:
        """Close the epoll descriptor."""
        with self._lock:
            self._epoll.close()


class KQueuePoller(Poller):
    """The poller of macOS and the BSDs."""

    def __init__(self, timeout: float = 0.1) -> None:
        super().__init__(timeout)
        self._select: Any = select  # typeshed knows kqueue on those platforms only
        self._kqueue = self._select.kqueue()
        self._lock = threading.Lock()
        self._interest: dict[int, tuple[bool, bool]] = {}

    def register(self, fd: int, read: bool = True, write: bool = False) -> None:
        """Add a descriptor; see :meth:`Poller.register`."""
        with self._lock:
            if self._kqueue.closed:
                self._kqueue = self._select.kqueue()  # in use again after release()
            # The kernel forgets a descriptor that is closed, and its number comes again.
            self._remove(fd)
            self._change(fd, read, write)

    def modify(self, fd: int, read: bool, write: bool) -> None:
        """Change what a descriptor is watched for."""
        with self._lock:
            if fd in self._interest:
                self._change(fd, read, write)

    def unregister(self, fd: int) -> None:
        """Remove a descriptor; also one that was closed, whose filters the kernel has removed itself."""
        with self._lock:
            self._remove(fd)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait for readiness; see :meth:`Poller.wait`."""
        kq = self._select
        ready: dict[int, int] = {}
        for event in self._kqueue.control(None, 2 * len(self._interest) + 1, timeout):
            flag = READ if event.filter == kq.KQ_FILTER_READ else WRITE
            # The end of the peer's bytes is something to read; of ours, a connection that is gone.
            if event.flags & kq.KQ_EV_EOF and flag == WRITE:
                flag = HANGUP
            ready[event.ident] = ready.get(event.ident, 0) | flag
        return list(ready.items())

    def release(self) -> None:
        """Close the kqueue's descriptor."""
        with self._lock:
            self._kqueue.close()
            self._interest.clear()

    def _remove(self, fd: int) -> None:
        try:
            self._change(fd, False, False)
        except (OSError, ValueError):
            pass  # closed, or released
        self._interest.pop(fd, None)

    def _change(self, fd: int, read: bool, write: bool) -> None:
        kq = self._select
        had_read, had_write = self._interest.get(fd, (False, False))
        changes = []
        for name, had, wants in (
            (kq.KQ_FILTER_READ, had_read, read),
            (kq.KQ_FILTER_WRITE, had_write, write),
        ):
            if had != wants:
                changes.append(kq.kevent(fd, name, kq.KQ_EV_ADD if wants else kq.KQ_EV_DELETE))
        if changes:
            self._kqueue.control(changes, 0, 0)
        self._interest[fd] = (read, write)


class ForeignPoller(Poller):
    """
    One's own poller, with no more than ws4py's four methods.

    It cannot watch for writing, nor be told how long to wait: its own timeout is
    the pace at which waiting writes, timers and other threads are looked after.
    """

    needs_wake = True

    def __init__(self, poller: Ws4pyPoller) -> None:
        super().__init__()
        self.poller = poller
        self._lock = threading.Lock()
        self._paused: set[int] = set()
        self._writing: set[int] = set()

    def register(self, fd: int, read: bool = True, write: bool = False) -> None:
        """Add a descriptor; see :meth:`Poller.register`."""
        with self._lock:
            self._paused.discard(fd)
            self._writing.discard(fd)
            self.poller.register(fd)
        if not read or write:
            self.modify(fd, read, write)

    def modify(self, fd: int, read: bool, write: bool) -> None:
        """Change what a descriptor is watched for."""
        with self._lock:
            (self._writing.add if write else self._writing.discard)(fd)
            if read and fd in self._paused:
                self._paused.discard(fd)
                self.poller.register(fd)
            elif not read and fd not in self._paused:
                self._paused.add(fd)
                self.poller.unregister(fd)

    def unregister(self, fd: int) -> None:
        """Remove a descriptor."""
        with self._lock:
            self._writing.discard(fd)
            if fd in self._paused:
                self._paused.discard(fd)
                return
        self.poller.unregister(fd)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Poll once, however long that takes; writes are tried after each."""
        # Generators may be paused between two descriptors, and ws4py's tests yield None.
        polled: Iterable[int | None] = self.poller.poll()
        ready = [(fd, READ) for fd in polled if fd is not None]
        with self._lock:
            return ready + [(fd, WRITE) for fd in self._writing]

    def release(self) -> None:
        """Release the poller."""
        self.poller.release()


def default_poller() -> Poller:
    """Return the best poller that the platform has."""
    if hasattr(select, "epoll"):
        return EPollPoller()
    if hasattr(select, "kqueue"):  # pragma: no cover - macOS and the BSDs
        return KQueuePoller()
    return SelectPoller()  # pragma: no cover - Windows
