"""
The network of a test: a connection in memory, whose other end is a transport of ours.

The client's end has faults on demand: it stops reading, it is cut, it is reset. What an application sees of
that is what the kernel would show it.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import Protocol

from ..core.types import Buffer
from ..tasks import make_number

__all__ = ["MemoryTransport", "MemoryWire", "Sink", "Wire"]

#: What the kernel holds for a peer that does not read, about; bytes.
_WINDOW = 64 * 1024


class Wire(Protocol):
    """The client's end of a connection. Nothing here waits."""

    def write(self, data: bytes) -> None:
        """Send bytes; those for a peer that is gone are lost."""

    def read(self) -> bytes | None:
        """
        Return what has come, ``b""`` at the end, and ``None`` when there is nothing now.

        Raises:
            ConnectionResetError: The peer has dropped the connection.
        """

    def cut(self) -> None:
        """End the connection as a process does that dies: a FIN, and no word before it."""

    def reset(self) -> None:
        """Drop the connection with a reset."""

    def stop(self, window: int) -> None:
        """Take no more than so many bytes from now on, until somebody reads again."""

    def fileno(self) -> int:
        """Return the descriptor; -1 where there is none."""


class _Flow:
    """One direction."""

    __slots__ = ("data", "ended", "window")

    def __init__(self) -> None:
        self.data = bytearray()
        #: Whether a FIN comes behind them.
        self.ended = False
        #: How many bytes find room; ``None``: any number.
        self.window: int | None = None

    @property
    def room(self) -> int | None:
        return None if self.window is None else max(self.window - len(self.data), 0)

    def take(self, size: int | None = None) -> bytes | None:
        if not self.data:
            return b"" if self.ended else None
        taken = bytes(self.data if size is None else self.data[:size])
        del self.data[: len(taken)]
        return taken


class MemoryWire:
    """
    A connection in memory.

    Args:
        ring: Called from any thread when the application has sent something.
        address: The client's.
    """

    def __init__(self, ring: Callable[[], object], address: tuple[str, int] = ("127.0.0.1", 50000)) -> None:
        self._up, self._down = _Flow(), _Flow()
        self._lock = threading.Lock()
        self._is_reset = False
        self._is_cut = False
        #: The application's end.
        self.transport = MemoryTransport(self, self._up, self._down, self._lock, ring, address)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        with self._lock:
            if not (self._is_cut or self._is_reset or self.transport.is_closed):
                self._up.data += data

    def read(self) -> bytes | None:
        """Return what has come; see :meth:`Wire.read`."""
        with self._lock:
            self._down.window = None
            if self.transport.is_aborted:
                raise ConnectionResetError(errno.ECONNRESET, "the server has reset the connection")
            return self._down.take()

    def cut(self) -> None:
        """End it with a FIN only."""
        with self._lock:
            self._is_cut = self._up.ended = True
            self._down.window = None

    def reset(self) -> None:
        """Drop it."""
        with self._lock:
            self._is_reset = True
            self._up.data.clear()

    def stop(self, window: int = _WINDOW) -> None:
        """Take no more than so many bytes."""
        with self._lock:
            self._down.window = window

    @property
    def is_answered(self) -> bool:
        """Whether something has come."""
        return bool(self._down.data)

    @property
    def is_reset(self) -> bool:
        """Whether the client has reset it."""
        return self._is_reset

    def fileno(self) -> int:
        """There is none."""
        return -1


class MemoryTransport:
    """The application's end: what :class:`~ws4py_middleware.handover.Transport` is for a socket."""

    tls = False
    gevent = False

    def __init__(
        self,
        wire: MemoryWire,
        up: _Flow,
        down: _Flow,
        lock: threading.Lock,
        ring: Callable[[], object],
        address: tuple[str, int],
    ) -> None:
        self._wire = wire
        self._up, self._down = up, down
        self._lock = lock
        self._ring = ring
        self._number = make_number()
        self.peer_address = address
        self.local_address = ("127.0.0.1", 80)
        self.is_closed = False
        self.is_aborted = False

    # A poller's view.

    @property
    def is_readable(self) -> bool:
        """Whether :meth:`recv` has something, or the end."""
        return self._wire.is_reset or bool(self._up.data) or self._up.ended

    @property
    def is_writable(self) -> bool:
        """Whether :meth:`send` takes something."""
        return self._wire.is_reset or self._down.room != 0

    @property
    def is_hung_up(self) -> bool:
        """Whether the client has reset the connection."""
        return self._wire.is_reset

    # A link's.

    @property
    def sock(self) -> MemoryTransport:
        """What a handler finds as its socket."""
        return self

    def fileno(self) -> int:
        """Return what stands for a descriptor; -1 once closed."""
        return -1 if self.is_closed else self._number

    def getpeername(self) -> tuple[str, int]:
        """Return the client's address."""
        return self.peer_address

    def getsockname(self) -> tuple[str, int]:
        """Return the server's address."""
        return self.local_address

    def recv(self, size: int = 65536, /) -> bytes | None:
        """Return what has come, ``b""`` at the end, and ``None`` when there is nothing now."""
        self._check()
        with self._lock:
            return self._up.take(size)

    def send(self, data: Buffer, /) -> int:
        """Take what there is room for; return how much that was."""
        self._check()
        with self._lock:
            room = self._down.room
            taken = memoryview(data).cast("B")[:room]
            self._down.data += taken
        if taken:
            self._ring()
        return len(taken)

    def sendall(self, data: Buffer, timeout: float) -> None:
        """Send the answer to the handshake, for which there always is room."""
        self._check()
        with self._lock:
            self._down.data += memoryview(data).cast("B")
        self._ring()

    def pending(self) -> int:
        """Return 0: the poller knows of everything."""
        return 0

    def interest(self, reading: bool, writing: bool, /) -> tuple[bool, bool]:
        """Return what is waited for: just what was asked."""
        return reading, writing

    def shutdown_write(self) -> None:
        """Send a FIN; again does nothing."""
        if not self._down.ended:
            self._down.ended = True
            self._ring()

    def close(self) -> None:
        """End the connection."""
        self.shutdown_write()
        self.is_closed = True

    def abort(self) -> None:
        """Reset the connection."""
        self.is_closed = self.is_aborted = True
        self._ring()

    def _check(self) -> None:
        if self._wire.is_reset:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        if self.is_closed:
            raise OSError(errno.EBADF, "the connection is closed")


class Sink:
    """Where a server's last words would go, if there was a server."""

    def fileno(self) -> int:
        """There is no descriptor."""
        return -1

    def close(self) -> None:
        """Nothing has to be closed."""
