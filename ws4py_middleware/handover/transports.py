"""
The connection as the drivers see it: bytes in, bytes out, and never a wait.

Every flavour is non-blocking, gevent's too; the drivers wait with epoll, or with watchers of gevent's hub,
on :meth:`Transport.fileno`. All calls go to the C socket (``_socket.socket``) underneath, so that neither
monkey-patching nor the inert class that a server was left with has a say in them, and a gevent connection
does not carry two idle watchers.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import select
import socket
import ssl
import struct
import threading
import time
from typing import Any, Protocol, TypeAlias

from ..core.types import Buffer
from .nowait import PlainSocket

__all__ = ["Address", "TLSObject", "TLSTransport", "Transport"]

#: ``(host, port)`` of IPv4 and IPv6, the path of a Unix socket (bytes: an abstract one), None when unknown.
Address: TypeAlias = "tuple[str, int] | str | bytes | None"

# The largest TLS record (RFC 8446 §5.1). CPython does not set SSL_MODE_ENABLE_PARTIAL_WRITE: a larger write
# would report nothing as sent until all of it is, and a slow reader would look like a dead one.
_RECORD = 16384

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

# A number that a machine has in a register, as that of an address of IPv4.
_MOST = 2**63


class TLSObject(Protocol):
    """What :class:`TLSTransport` needs of OpenSSL; ``SSLSocket._sslobj`` is one."""

    def read(self, size: int, /) -> bytes: ...
    def write(self, data: Any, /) -> int: ...
    def pending(self) -> int: ...
    def shutdown(self) -> Any: ...


class Transport(PlainSocket):
    """
    A connected stream socket, non-blocking.

    ``recv``, ``send`` and ``close`` may come from different threads, but whoever closes makes sure that
    nobody is inside ``send`` or ``recv`` at that moment: the kernel may give the descriptor's number to a
    new connection.

    Args:
        sock: A C socket, or (not taken from a server) anything with its methods.
        gevent: It came from gevent: whoever waits for it does so through the hub.
        owner: The object whose ``close`` must be called too, when ``sock`` is only the inside of it.
    """

    __slots__ = ("_local_address", "_owner", "_peer_address", "_peer_number", "gevent")

    tls = False

    def __init__(self, sock: _socket.socket, *, gevent: bool = False, owner: Any = None) -> None:
        super().__init__(sock)
        self.gevent = gevent
        self._owner = owner
        self._local_address: Address = None
        self._peer_address: Address | int = None
        self._peer_number = 0  # the same, where it is small enough
        self.setup()

    def __repr__(self) -> str:
        kind = f"{'gevent ' if self.gevent else ''}{'TLS' if self.tls else 'plain'}"
        return f"<{type(self).__name__} {kind} fd={self.fileno()} peer={self.peer_address!r}>"

    def setup(self) -> None:
        """
        Make the socket non-blocking and set TCP_NODELAY and SO_KEEPALIVE.

        The constructor has done it. Again does no harm.
        """
        sock = self.sock
        _socket.socket.setblocking(sock, False)
        # A peer that is gone already shows in the first recv(), not here.
        with contextlib.suppress(OSError):
            sockopt = _socket.socket.setsockopt
            sockopt(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                sockopt(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            address = _pack_address(_socket.socket.getpeername(sock))
            if isinstance(address, int) and address < _MOST:
                self._peer_number = address
            else:
                self._peer_address = address

    def fileno(self) -> int:
        """Return the descriptor to poll; -1 once closed."""
        return _socket.socket.fileno(self.sock)

    def sendall(self, data: Buffer, timeout: float) -> None:
        """
        Write all of ``data``, waiting ``timeout`` seconds at most; only for the answer to the handshake.

        Waits in this thread, or in this greenlet while the others run.

        Raises:
            TimeoutError: Some of it, or nothing, was sent in time. The connection is of no more use.
            OSError: As :meth:`send`.
        """
        deadline = time.monotonic() + timeout
        view = memoryview(data).cast("B")
        while view:
            sent = self.send(view)
            view = view[sent:]
            if view and not sent:
                self._wait(*self.interest(False, True), deadline - time.monotonic())

    def pending(self) -> int:
        """Return how many received bytes wait where no poller can see them: 0 without TLS."""
        return 0

    def interest(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        """
        Say what to poll for: ``(readable, writable)``.

        The same that was asked, except under TLS, where a read may have to wait until something was written
        and a write until something was read. Whoever polls for what this says, and tries :meth:`recv` (if
        ``reading``) *and* :meth:`send` (if ``writing``) whichever of the two comes true, never spins nor
        stalls.
        """
        return reading, writing

    def shutdown_write(self) -> None:
        """End our side: the peer reads EOF after what was sent. Never waits; again does nothing."""
        with contextlib.suppress(OSError):
            _socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def close(self) -> None:
        """
        End the connection and release the descriptor now. Never waits; again does nothing.

        A child process that inherited the descriptor does not keep the connection open. Bytes that came in
        and were not read make the kernel send a reset, which may overtake what was sent last: read until
        EOF first where that matters.
        """
        with contextlib.suppress(OSError):
            _socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        self._release()

    def abort(self) -> None:
        """Drop the connection, and what is unsent, with a reset; release the descriptor. Never waits."""
        with contextlib.suppress(OSError):
            _socket.socket.setsockopt(self.sock, socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._release()

    @property
    def local_address(self) -> Address:
        """Our end of the connection; None when it was not asked for before the end."""
        if self._local_address is None:
            with contextlib.suppress(OSError):
                self._local_address = _address(_socket.socket.getsockname(self.sock))
        return self._local_address

    @property
    def peer_address(self) -> Address:
        """The peer's end of the connection, also after the end; None when it was lost before the start."""
        address = self._peer_number or self._peer_address
        return _unpack_address(address) if isinstance(address, int) else address

    def _release(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.close()
        # Not sock.close(): a stdlib socket would wait for files made from it.
        _socket.socket.close(self.sock)

    def _wait(self, readable: bool, writable: bool, timeout: float) -> None:
        poller: Any
        if self.gevent:
            from gevent.select import poll

            poller = poll()
        else:
            # Not select(): it knows no descriptor above 1023.
            poller = select.poll()
        poller.register(self.fileno(), readable * select.POLLIN | writable * select.POLLOUT)
        if timeout <= 0 or not poller.poll(timeout * 1000):
            raise TimeoutError(errno.ETIMEDOUT, "the peer did not take the bytes in time")


class TLSTransport(Transport):
    """
    The same inside TLS, by the stdlib's ``ssl``, gevent's, or pyOpenSSL.

    OpenSSL must not read and write one connection at the same time, so one lock is around each call; the
    calls never wait, and neither does the lock, to speak of.

    **A refused write binds.** When :meth:`send` returned less than it was given, OpenSSL has sealed the
    next (at most 16,384) bytes into a record, part of which may be on the wire: the next :meth:`send` must
    begin with *the same* bytes. :attr:`committed` says how many. A queue that drops messages keeps that
    many from its front.

    **Crossed waits.** A read may need to write first, and a write to read (a key update, a renegotiation):
    :meth:`interest` knows which.

    Args:
        sock: The C socket below.
        tls: The OpenSSL connection, whose handshake is done.
        gevent: As for :class:`Transport`.
        owner: As for :class:`Transport`.
    """

    __slots__ = ("_lock", "_recv_needs_write", "_send_needs_read", "_shut", "_tls", "committed")

    tls = True

    def __init__(
        self, sock: _socket.socket, tls: TLSObject, *, gevent: bool = False, owner: Any = None
    ) -> None:
        self._tls: TLSObject | None = tls
        self._lock = threading.Lock()
        self._shut = False
        self._recv_needs_write = False
        self._send_needs_read = False
        #: How many bytes the next :meth:`send` must begin with again; 0 when it is free.
        self.committed = 0
        super().__init__(sock, gevent=gevent, owner=owner)

    def recv(self, size: int = 65536) -> bytes | None:
        """
        Read at most ``size`` decrypted bytes; :meth:`Transport.recv` has the details.

        A connection that was cut, without the peer's ``close_notify``, ends with ``b""`` as well, and so may
        one that was reset: ``ssl`` reports the two alike. A WebSocket knows by the Close frame.
        """
        with self._lock:
            tls = self._open()
            self._recv_needs_write = False
            data = self._read(tls, min(size, _RECORD))
            if not data or len(data) == size or (len(data) < _RECORD and not tls.pending()):
                return data
            # A full record, or a part of one: there is more.
            chunks, left = [data], size - len(data)
            while left and (data := self._read(tls, min(left, _RECORD), later_errors=True)):
                chunks.append(data)
                left -= len(data)
            return b"".join(chunks)

    def send(self, data: Buffer) -> int:
        """
        Write as much of ``data`` as can be taken without waiting; see :attr:`committed` and
        :meth:`Transport.send`.

        Raises:
            ValueError: ``data`` is shorter than :attr:`committed`.
        """
        view = memoryview(data).cast("B")
        size, sent = len(view), 0
        with self._lock:
            tls = self._open()
            if size < self.committed:
                raise ValueError(
                    f"the next send() must begin with the {self.committed} bytes of the last one"
                )
            self._send_needs_read = False
            while sent < size:
                record = self.committed or min(size - sent, _RECORD)
                try:
                    tls.write(view[sent : sent + record])
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as want:
                    self._send_needs_read = isinstance(want, ssl.SSLWantReadError)
                    self.committed = record
                    break
                self.committed = 0
                sent += record
        return sent

    def recv_into(self, buffer: memoryview) -> int | None:
        """Read into a buffer, as :meth:`recv`."""
        data = self.recv(len(buffer))
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)

    def sendv(self, buffers: list[Buffer]) -> int:
        """Write as much of several buffers, one behind the other, as :meth:`send` does of one."""
        return self.send(b"".join(buffers))

    def pending(self) -> int:
        """Return how many decrypted bytes wait inside OpenSSL; read on while there are any."""
        with self._lock:
            return self._tls.pending() if self._tls is not None else 0

    def interest(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        """Say what to poll for; :meth:`Transport.interest` has the details."""
        crossed_read = reading and self._recv_needs_write
        crossed_write = writing and self._send_needs_read
        return (reading and not crossed_read) or crossed_write, (
            writing and not crossed_write
        ) or crossed_read

    def shutdown_write(self) -> None:
        """
        Send ``close_notify`` and end our side of TCP. Never waits; again does nothing.

        Bytes that :meth:`send` did not take are cut off. What is read afterwards is good for nothing but to
        wait for the end: OpenSSL may refuse data that crossed our ``close_notify``.
        """
        self._notify()
        super().shutdown_write()

    def close(self) -> None:
        """Send ``close_notify``, without waiting for the peer's, and do as :meth:`Transport.close`."""
        self._notify()
        super().close()

    def _open(self) -> TLSObject:
        if self._tls is None:
            raise OSError(errno.EBADF, "the connection is closed")
        return self._tls

    def _read(self, tls: TLSObject, size: int, *, later_errors: bool = False) -> bytes | None:
        try:
            return tls.read(size)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            self._recv_needs_write = True
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except OSError:
            if not later_errors:
                raise
            # First the bytes that came before; the error comes again with the next call.
            return None

    def _notify(self) -> None:
        with self._lock:
            if self._tls is not None and not self._shut:
                self._shut = True
                # Usually "want read": close_notify is out, and the peer's answer is not waited for.
                with contextlib.suppress(OSError, ValueError):
                    self._tls.shutdown()

    def _release(self) -> None:
        with self._lock:
            self._tls = None
            super()._release()


def _address(value: Any) -> Address:
    """Cut the flow and scope off an IPv6 address, as ws4py does."""
    if isinstance(value, tuple):
        return value[0], value[1]
    return value  # type: ignore[no-any-return]  # the str of a Unix socket


def _pack_address(value: Any) -> Address | int:
    """Make the address of a peer small: each connection has one, and hardly anybody asks for it."""
    address = _address(value)
    if not isinstance(address, tuple):
        return address
    host, port = address
    try:
        packed = _socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:  # the name of an interface behind it
        return address
    # The one before it keeps zeros at the front.
    return int.from_bytes(b"\x01" + packed + port.to_bytes(2, "big"), "big")


def _unpack_address(number: int) -> tuple[str, int]:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    end = len(data) - 2
    packed, port = data[1:end], int.from_bytes(data[end:], "big")
    return _socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed), port
