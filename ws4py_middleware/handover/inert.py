"""
What the server is left with: a client that ended its side and swallows all that is written to it.

Reading gives EOF, writing succeeds, shutting down, timing out and closing work, and the descriptor is real
and unique, so no server notices. That is one end of a socketpair. Where the server's object can be pointed
at it, that is all; a TLS socket can not (OpenSSL holds the descriptor's number and CPython's ``_ssl`` a
weak reference to that very object), so that object becomes ours and the server's view of it changes: it
gets an inert class.
"""

from __future__ import annotations

import _socket
import errno
import socket
from typing import Any

from ws4py_middleware.exc import HandoverError

__all__ = ["InertSSLSocket", "dummy_pair", "inert_class", "no_socket"]

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def dummy_pair() -> tuple[_socket.socket, _socket.socket]:
    """
    Make (the end for the server, the sink that swallows what the server writes to it).

    The sink is non-blocking, whatever the flavour of the connection.

    Raises:
        HandoverError: The process has no descriptors left (503).
    """
    try:
        # The C function: under gevent the patched one would make sockets with watchers.
        dummy, sink = _socket.socketpair()
    except OSError as error:
        raise no_socket(error) from error
    sink.shutdown(socket.SHUT_WR)
    sink.setblocking(False)
    return dummy, sink


def no_socket(error: OSError) -> HandoverError:
    """Make the error for when the system gives no socket: 503 where that passes, else 501."""
    if error.errno in _OUT_OF_DESCRIPTORS:
        return HandoverError(
            f"no socket for the hand-over: {error.strerror}; try again later", 503, [("Retry-After", "5")]
        )
    return HandoverError(f"no socket for the hand-over: {error.strerror}")


class InertSSLSocket:
    """
    The I/O of an ``ssl.SSLSocket`` that was taken, on a dummy (``_ws_dummy``) instead of the connection.

    :func:`inert_class` puts its methods in front of the socket's own. The signatures are those of the
    original; flags are ignored, because TLS sockets refuse them anyway.
    """

    __slots__ = ()

    _ws_dummy: _socket.socket

    def fileno(self) -> int:
        return self._ws_dummy.fileno()

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        return self._ws_dummy.recv(buflen)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        return self._ws_dummy.recv_into(buffer, nbytes or 0)

    def read(self, len: int = 1024, buffer: Any = None) -> bytes | int:
        if buffer is not None:
            return self._ws_dummy.recv_into(buffer, len)
        return self._ws_dummy.recv(len)

    def send(self, data: Any, flags: int = 0) -> int:
        return self._ws_dummy.send(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._ws_dummy.sendall(data)

    def write(self, data: Any) -> int:
        return self._ws_dummy.send(data)

    def pending(self) -> int:
        return 0

    def unwrap(self) -> InertSSLSocket:
        return self

    def do_handshake(self, block: bool = False) -> None:
        return None

    def shutdown(self, how: int) -> None:
        self._ws_dummy.shutdown(how)

    def close(self) -> None:
        self._ws_dummy.close()

    def detach(self) -> int:
        return self._ws_dummy.detach()

    def setblocking(self, flag: bool) -> None:
        self._ws_dummy.setblocking(flag)

    def getblocking(self) -> bool:
        return self._ws_dummy.getblocking()

    def settimeout(self, value: float | None) -> None:
        self._ws_dummy.settimeout(value)

    def gettimeout(self) -> float | None:
        return self._ws_dummy.gettimeout()

    @property
    def timeout(self) -> float | None:
        return self._ws_dummy.gettimeout()

    def setsockopt(self, *args: Any) -> None:
        self._ws_dummy.setsockopt(*args)

    def getsockopt(self, *args: Any) -> int | bytes:
        return self._ws_dummy.getsockopt(*args)

    def _decref_socketios(self) -> None:
        """Do nothing: a file made from the socket has no say in when the dummy is closed."""

    def __exit__(self, *args: object) -> None:
        self.close()


_inert_classes: dict[type, type] = {}


def inert_class(cls: type, methods: type) -> type:
    """Return a subclass of ``cls``, of the same layout, with the methods of an inert class; made once."""
    inert = _inert_classes.get(cls)
    if inert is None:
        # One base only: an object changes its class only for one whose layout comes from the same base.
        inert = type(f"Inert{cls.__name__}", (cls,), dict(vars(methods)))
        _inert_classes[cls] = inert
    return inert
