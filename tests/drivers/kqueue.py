"""
An imitation of BSD's kqueue, on ``poll(2)``, for a machine without one.

It keeps to what kqueue(2) says of what the poller uses: one filter for each (ident, filter), EV_ADD of one
that is there already modifies it, EV_DELETE of one that is not there fails with ENOENT, a descriptor that is
not open fails with EBADF, filters go when their descriptor is closed, and EV_EOF is told with the filter that
saw it: on READ when the peer has ended its side, on WRITE when nobody reads any more.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterable
from typing import NamedTuple

KQ_FILTER_READ, KQ_FILTER_WRITE = -1, -2
KQ_EV_ADD, KQ_EV_DELETE, KQ_EV_EOF = 0x1, 0x2, 0x8000

#: PyPy's select has no name for it.
_POLLRDHUP: int = getattr(select, "POLLRDHUP", 0x2000)


class kevent(NamedTuple):
    ident: int
    filter: int = KQ_FILTER_READ
    flags: int = KQ_EV_ADD


class kqueue:
    def __init__(self) -> None:
        self.closed = False
        # The inode tells a closed descriptor from another connection that was given its number.
        self._filters: dict[tuple[int, int], int] = {}

    def close(self) -> None:
        self.closed = True

    def control(
        self, changes: Iterable[kevent] | None, max_events: int, timeout: float | None = None
    ) -> list[kevent]:
        if self.closed:
            raise ValueError("I/O operation on closed kqueue object")
        for change in changes or ():
            self._change(change)
        return self._wait(max_events, timeout) if max_events else []

    def _change(self, change: kevent) -> None:
        inode = os.fstat(change.ident).st_ino  # EBADF
        key = change.ident, change.filter
        self._forget_closed()
        if change.flags & KQ_EV_ADD:
            self._filters[key] = inode
        elif key in self._filters:
            del self._filters[key]
        else:
            raise FileNotFoundError(2, "no such filter")

    def _forget_closed(self) -> None:
        for key, inode in list(self._filters.items()):
            try:
                is_same = os.fstat(key[0]).st_ino == inode
            except OSError:
                is_same = False
            if not is_same:
                del self._filters[key]

    def _wait(self, max_events: int, timeout: float | None) -> list[kevent]:
        self._forget_closed()
        poller = select.poll()
        wanted: dict[int, int] = {}
        for fd, name in self._filters:
            mask = select.POLLIN | _POLLRDHUP if name == KQ_FILTER_READ else select.POLLOUT
            wanted[fd] = wanted.get(fd, 0) | mask
        for fd, mask in wanted.items():
            poller.register(fd, mask)
        events = []
        gone = select.POLLHUP | select.POLLERR
        for fd, flags in poller.poll(None if timeout is None else timeout * 1000):
            if (fd, KQ_FILTER_READ) in self._filters and flags & (select.POLLIN | _POLLRDHUP | gone):
                eof = KQ_EV_EOF if flags & (_POLLRDHUP | gone) else 0
                events.append(kevent(fd, KQ_FILTER_READ, eof))
            if (fd, KQ_FILTER_WRITE) in self._filters and flags & (select.POLLOUT | gone):
                events.append(kevent(fd, KQ_FILTER_WRITE, KQ_EV_EOF if flags & gone else 0))
        return events[:max_events]
