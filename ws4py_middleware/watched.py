"""A transport with a descriptor, for a loop that watches it and must not be surprised by its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .link import Link
    from .outgoing import TransportLike
    from .tasks import TaskManager

__all__ = ["WatchedTransport"]


class WatchedTransport:
    """
    The transport below, and what the loop watches it for.

    Whoever closes it may be in another thread. The descriptor is closed in the loop's, after the loop has
    let go of it: its number may be another connection's at once.
    """

    def __init__(self, transport: TransportLike, manager: TaskManager) -> None:
        self._transport = transport
        self._manager = manager
        self._loop: asyncio.AbstractEventLoop = manager.loop
        self._fd = transport.fileno()
        self._reading = self._writing = self._closed = False
        # Straight to it, without a call in between.
        self.recv = transport.recv
        self.send = transport.send
        self.pending = transport.pending
        self.interest = transport.interest
        self.shutdown_write = transport.shutdown_write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def watch(self, link: Link) -> None:
        """Watch for what a link wants; in the loop's thread."""
        if self._closed or link.released:
            return
        reading, writing = link.wants()
        if reading and not self._reading:
            self._loop.add_reader(self._fd, self._on_readable, link)
        elif self._reading and not reading:
            self._loop.remove_reader(self._fd)
        if writing and not self._writing:
            self._loop.add_writer(self._fd, self._manager.writable, link)
        elif self._writing and not writing:
            self._loop.remove_writer(self._fd)
        self._reading, self._writing = reading, writing

    def _on_readable(self, link: Link) -> None:
        if not self._manager.readable(link) and self._reading:
            # It would be told again and again while a hook runs; the turn that follows asks for it again.
            self._reading = False
            self._loop.remove_reader(self._fd)

    def unwatch(self) -> None:
        """Let go of the descriptor; in the loop's thread."""
        if self._reading:
            self._loop.remove_reader(self._fd)
        if self._writing:
            self._loop.remove_writer(self._fd)
        self._reading = self._writing = False

    def close(self) -> None:
        """Close it, when the loop has let go of it."""
        self._end(self._transport.close)

    def abort(self) -> None:
        """Drop it, when the loop has let go of it."""
        self._end(self._transport.abort)

    def _end(self, close: Any) -> None:
        if self._loop.is_closed():
            close()
        else:
            self._manager.call(self._end_here, close)

    def _end_here(self, close: Any) -> None:
        if not self._closed:
            self.unwatch()
            self._closed = True
            close()
