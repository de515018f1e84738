"""
A stream of asyncio's as the transport of a link.

asyncio's transport belongs to its loop's thread, and takes whatever it is given; a link asks from any
thread, and wants to be told how much is taken. In between are two buffers with bounds: what has arrived
and was not read, after which asyncio reads no more; and what other threads have written.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from .core.types import Buffer
from .tasks import TaskManager, make_number

if TYPE_CHECKING:
    from .link import Link

__all__ = ["AsyncioTransport", "StreamProtocol", "is_secure"]

#: From so many bytes on that nobody has read yet, asyncio reads no more.
_READ_AHEAD = 64 * 1024

#: Most bytes that asyncio is given at once, and so most that it keeps when the network takes none.
_WRITE_SIZE = 64 * 1024

#: How long the network may take for what was written before :meth:`AsyncioTransport.close`; seconds.
_LINGER = 3.0

#: How long the peer's end of TLS may take, when nothing waits to be written: nobody needs it; seconds.
_TLS_LINGER = 0.3


class AsyncioTransport:
    """
    The transport of one connection; it is made, and fed, in the loop's thread.

    Args:
        transport: asyncio's; its protocol calls :meth:`feed`, :meth:`feed_eof`, :meth:`lose`,
            :meth:`pause_writing` and :meth:`resume_writing`.
        manager: The manager of the loop.
    """

    def __init__(self, transport: asyncio.Transport, manager: TaskManager) -> None:
        self.sock: Any = transport.get_extra_info("socket")
        self.local_address = _address(transport.get_extra_info("sockname"))
        self.peer_address = _address(transport.get_extra_info("peername"))
        self._transport = transport
        self._manager = manager
        self._number = make_number()
        self._link: Link | None = None
        self._lock = threading.Lock()
        self._arrived: deque[bytes] = deque()
        self._arrived_size = 0
        self._reading = True
        self._ended = False  # nothing more arrives
        self._told_end = False  # and recv() has said so
        self._error: Exception | None = None
        self._is_lost = False
        self._written = bytearray()  # by other threads
        self._full = False  # asyncio takes no more
        self._wanted = False  # somebody has more to write
        self._linger: asyncio.TimerHandle | None = None
        # So that asyncio tells of what the network has not taken. With 0, its TLS would never resume.
        transport.set_write_buffer_limits(high=1, low=0)

    # --- the protocol: the loop's thread ---------------------------------------------------------

    def bind(self, link: Link) -> None:
        """Let a link know, from now on, of what happens."""
        if not self._is_lost:
            self._link = link

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        with self._lock:
            self._arrived.append(data)
            self._arrived_size += len(data)
            # Within the lock: from here on recv() knows that somebody has to read on.
            pauses = self._reading and self._arrived_size >= _READ_AHEAD
            self._reading = self._reading and not pauses
        if pauses:
            self._transport.pause_reading()
        self._tell_readable()

    def feed_eof(self) -> None:
        """Note that the peer has ended its side."""
        self._ended = True
        self._tell_readable()

    def lose(self, error: Exception | None) -> None:
        """Note that the connection is gone."""
        if self._linger is not None:
            self._linger.cancel()
        self._is_lost = self._ended = True
        self._error = error
        self._tell_readable()
        # Nothing more happens; and what has ended does not wait for the garbage collector.
        link, self._link = self._link, None
        if link is not None:
            self._manager.hung_up(link)

    def pause_writing(self) -> None:
        """Note that the network has not taken everything."""
        self._full = True

    def resume_writing(self) -> None:
        """Note that it has, by now."""
        self._full = False
        self._write_on()

    def _tell_readable(self) -> None:
        if self._link is not None:
            self._manager.readable(self._link)

    def _tell_writable(self) -> None:
        if self._wanted and not self._full and self._link is not None:
            self._wanted = False
            self._manager.writable(self._link)

    def _write_on(self) -> None:
        """Write what other threads have written, and let the link know that there is room."""
        with self._lock:
            data, self._written = self._written, bytearray()
        if data and not self._transport.is_closing():
            self._transport.write(data)
        self._tell_writable()

    def go_on_with(self, transport: asyncio.Transport) -> None:
        """Go on with another transport of asyncio's: the one that speaks TLS on top of the one before."""
        before, self._transport = self._transport, transport
        transport.set_write_buffer_limits(high=1, low=0)
        if not self._reading:
            before.resume_reading()  # what is not read is left to TLS to hold back
            transport.pause_reading()

    # --- a link's transport: any thread ------------------------------------------------------------

    def fileno(self) -> int:
        """Return a number below -1: the descriptor is asyncio's to watch."""
        return self._number

    def recv(self, size: int = 65536, /) -> bytes | None:
        """Return what has arrived, ``b""`` at the end; ``None`` when there is nothing now."""
        with self._lock:
            taken = self._take(size)
            resumes = not self._reading and self._arrived_size < _READ_AHEAD
        if taken:
            if resumes:
                self._manager.call(self._resume_reading)
            return taken
        if not self._ended:
            return None
        self._told_end = True
        if self._error is not None:
            raise self._get_error()
        return b""

    def _get_error(self) -> OSError:
        error = self._error
        return error if isinstance(error, OSError) else ConnectionResetError(str(error or "it is closed"))

    def _take(self, size: int) -> bytes:
        pieces = []
        while size > 0 and self._arrived:
            piece = self._arrived.popleft()
            if len(piece) > size:
                self._arrived.appendleft(piece[size:])
                piece = piece[:size]
            pieces.append(piece)
            size -= len(piece)
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._arrived_size -= len(taken)
        return taken

    def _resume_reading(self) -> None:
        if not self._reading and not self._is_lost:
            self._reading = True
            # The TLS of Python 3.10 has lost its transport a moment before it says so.
            with contextlib.suppress(AttributeError):
                self._transport.resume_reading()

    def send(self, data: Buffer, /) -> int:
        """Give asyncio what it takes without keeping more than a little; return how much that was."""
        if self._is_lost:
            raise self._get_error()
        if not self._manager.is_here():
            return self._send_later(data)
        if self._transport.is_closing():
            return len(data)  # it is broken, as we hear soon
        if self._written:
            self._write_on()
        size = len(data)
        sent = 0
        while sent < size and not self._full:
            # asyncio may keep what it is given; what it keeps must not change.
            is_small = size <= _WRITE_SIZE and isinstance(data, bytes)
            piece = data if is_small else bytes(data[sent : sent + _WRITE_SIZE])
            self._transport.write(piece)
            sent += len(piece)
            if self._transport.is_closing():
                return size  # it is broken, and asyncio would complain of each further piece
        self._wanted = self._wanted or sent < size
        return sent

    def _send_later(self, data: Buffer) -> int:
        with self._lock:
            room = 0 if self._full else _WRITE_SIZE - len(self._written)
            piece = memoryview(data)[: max(room, 0)]
            is_first = not self._written
            self._written += piece
            self._wanted = self._wanted or len(piece) < len(data)
        if is_first and piece:
            self._manager.call(self._write_on)
        return len(piece)

    def pending(self) -> int:
        """Return how much :meth:`recv` has; the end counts, until it was told."""
        return self._arrived_size or (self._ended and not self._told_end)

    def interest(self, reading: bool, writing: bool, /) -> tuple[bool, bool]:
        """Return what is waited for: just what was asked."""
        return reading, writing

    def shutdown_write(self) -> None:
        """End this side, when all is written; TLS has no such half, and ends both."""
        self._manager.call(self._shutdown_write)

    def _shutdown_write(self) -> None:
        self._write_on()
        if self._is_lost or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            with contextlib.suppress(OSError):  # it was reset, as we hear soon
                self._transport.write_eof()
        else:
            self._close()

    def close(self) -> None:
        """Close the connection, when all is written, or that takes too long."""
        self._manager.call(self._close)

    def _close(self) -> None:
        self._write_on()
        if not self._is_lost and self._linger is None:
            is_written = not self._transport.get_write_buffer_size()
            linger = _TLS_LINGER if is_written and is_secure(self._transport) else _LINGER
            self._linger = self._manager.loop.call_later(linger, self._transport.abort)
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._manager.call(self._transport.abort)


class StreamProtocol(asyncio.Protocol):
    """What asyncio calls for a connection: all of it is passed on to the stream, once there is one."""

    #: asyncio's transport.
    transport: asyncio.Transport | None = None
    #: The connection, as the link's transport.
    stream: AsyncioTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take asyncio's transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none by their class

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.stream is not None:
            self.stream.feed(data)

    def eof_received(self) -> bool:
        """Note that the peer has ended its side; ours goes on until all is said."""
        if self.stream is None:
            return False
        self.stream.feed_eof()
        # TLS has no half; asyncio ends both, and says so in the log if it is asked not to.
        return self.transport is not None and not is_secure(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        if self.transport is not None:
            self.transport.close()  # the TLS of Python 3.10 would complain that nobody has
        if self.stream is not None:
            self.stream.lose(exc)

    def pause_writing(self) -> None:
        """Note that the network takes no more."""
        if self.stream is not None:
            self.stream.pause_writing()

    def resume_writing(self) -> None:
        """Note that it does again."""
        if self.stream is not None:
            self.stream.resume_writing()


def is_secure(transport: asyncio.BaseTransport) -> bool:
    """Tell whether a transport of asyncio's speaks TLS."""
    return transport.get_extra_info("ssl_object") is not None


def _address(value: Any) -> Any:
    """Return (host, port) without what IPv6 adds, or the path of a Unix socket."""
    return value[:2] if isinstance(value, tuple) else value
