"""pyOpenSSL, which cheroot and CherryPy can use for TLS. Imported only when a server does."""

from __future__ import annotations

import _socket
import errno
import os
import ssl
from typing import Any

from OpenSSL import SSL

from ws4py_middleware.handover.inert import inert_class

__all__ = ["InertConnection", "OpenSSLObject", "take_connection"]


class OpenSSLObject:
    """An ``OpenSSL.SSL.Connection`` with the calls and the errors of the stdlib's ``ssl``."""

    __slots__ = ("_refused", "connection")

    def __init__(self, connection: SSL.Connection) -> None:
        self.connection = connection
        self._refused: bytes | None = None

    def read(self, size: int, /) -> bytes:
        try:
            return self.connection.recv(size)
        except SSL.Error as error:
            raise _translate(error) from None

    def write(self, data: Any, /) -> int:
        # Not every pyOpenSSL sets SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER: the next try must come from the same
        # memory.
        record = self._refused or bytes(data)
        try:
            sent = self.connection.send(record)
        except SSL.Error as error:
            self._refused = record
            raise _translate(error) from None
        self._refused = None
        return sent

    def pending(self) -> int:
        return self.connection.pending()

    def shutdown(self) -> Any:
        try:
            return self.connection.shutdown()
        except SSL.Error as error:
            raise _translate(error) from None


class InertConnection:
    """The TLS half of a ``Connection`` that was taken; all else it asks of its ``_socket``, the dummy."""

    __slots__ = ()

    _socket: Any

    def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
        return bytes(self._socket.recv(bufsiz))

    read = recv

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int | None = None) -> int:
        return int(self._socket.recv_into(buffer, nbytes or 0))

    def send(self, buf: Any, flags: int = 0) -> int:
        return int(self._socket.send(buf))

    write = send

    def sendall(self, buf: Any, flags: int = 0) -> int:
        self._socket.sendall(buf)
        return len(buf)

    def pending(self) -> int:
        return 0

    def do_handshake(self) -> None:
        return None

    def shutdown(self) -> bool:
        return True


def take_connection(connection: Any, dummy: _socket.socket) -> tuple[_socket.socket, OpenSSLObject]:
    """
    Move a connection out of the server's object, which is left with ``dummy``.

    Returns:
        The C socket below and the OpenSSL connection above it.

    Raises:
        AttributeError: pyOpenSSL has changed; nothing was touched.
    """
    cls, state = type(connection), dict(vars(connection))
    sock, ssl_pointer = state.get("_socket"), state.get("_ssl")
    if not isinstance(sock, _socket.socket) or ssl_pointer is None:
        raise AttributeError("the connection has no socket")
    names = SSL.Connection._reverse_mapping
    for_server = type(sock)(sock.family, sock.type, sock.proto, fileno=dummy.detach())
    for_server.settimeout(sock.gettimeout())
    # A second object on the same OpenSSL connection, for us. The server's is emptied.
    ours = object.__new__(cls)
    vars(ours).update(state)
    connection.__class__ = inert_class(cls, InertConnection)
    vars(connection).clear()
    connection._socket = for_server
    names[ssl_pointer] = ours
    return sock, OpenSSLObject(ours)


def _translate(error: SSL.Error) -> OSError:
    if isinstance(error, SSL.WantReadError):
        return ssl.SSLWantReadError()
    if isinstance(error, SSL.WantWriteError):
        return ssl.SSLWantWriteError()
    if isinstance(error, SSL.ZeroReturnError):
        return ssl.SSLZeroReturnError()
    if isinstance(error, SSL.SysCallError):
        number = error.args[0]
        # -1 is "Unexpected EOF": TCP ended without a close_notify.
        return OSError(number, os.strerror(number)) if number > 0 else ssl.SSLEOFError()
    return OSError(errno.EPROTO, f"TLS: {error}")
