"""
The same client for a server that is really there, so that one test body runs in memory and live.

::

    from ws4py_middleware.testing.live import LiveServer

    with LiveServer("app:app", worker="gthread") as server:
        with server.connect("/chat/blue") as ws:
            ws.send("hi")
            assert ws.receive() == "hi"

What is different: time is real, so that ``clock.advance(0.3)`` waits so long; and the network takes what it
likes from a server whose peer does not read, some 100 KiB or more.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import io
import os
import socket
import ssl
import struct
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..core.handshake import Request
from ..core.headers import build_head, get_all
from .certificates import make_certificate
from .client import Client
from .clocks import Clock, RealClock
from .failures import NoMessage
from .responses import Response
from .servers import Gunicorn
from .wires import Wire

__all__ = ["LiveClient", "LiveServer", "SocketWire"]

#: How long an answer may take that is no WebSocket; seconds.
_TIMEOUT = 20.0

#: What the network holds of what a test does not read, about; bytes. By default that is megabytes.
_WINDOW = 64 * 1024

#: TLS says this in place of ``BlockingIOError``.
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class SocketWire:
    """
    A connection of a client; see :class:`~.wires.Wire`.

    Args:
        sock: A connected socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._unsent = bytearray()
        #: What was read ahead, and is to be read again.
        self.early = b""

    def write(self, data: bytes) -> None:
        """Send bytes, as far as the network takes them; the rest with the next read."""
        self._unsent += data
        self._flush()

    def read(self) -> bytes | None:
        """Return what has come."""
        self._flush()
        early, self.early = self.early, b""
        if early:
            return early
        try:
            return self._sock.recv(65536)
        except _NOT_NOW:
            return None
        except ConnectionResetError:
            raise ConnectionResetError(errno.ECONNRESET, "the server has reset the connection") from None
        except OSError:
            return b""

    def cut(self) -> None:
        """End it with a FIN only."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def reset(self) -> None:
        """Drop it with a reset."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._sock.close()

    def stop(self, window: int) -> None:
        """Nothing has to be done: the network takes what it likes."""

    def fileno(self) -> int:
        """Return the descriptor; -1 once closed."""
        return self._sock.fileno()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except _NOT_NOW:
            return
        except OSError:
            self._unsent.clear()  # the peer has gone, which the next read tells


class _Remote:
    """A server to which there is a way."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext | None) -> None:
        self.clock: Clock = RealClock()
        self._address = address
        self._context = context

    def open(self, request: Request, extras: Mapping[str, Any]) -> Wire | Response:
        wire = SocketWire(_connect(self._address, self._context))
        wire.write(_head(request))
        taken = bytearray()
        if (
            self._read(wire, taken, lambda: len(taken) >= 12 and b"\r\n\r\n" in taken)
            and b" 101" in taken[:12]
        ):
            wire.early = bytes(taken)
            return wire
        return self._read_response(wire, taken, request.method)

    def ask(self, request: Request, body: bytes, extras: Mapping[str, Any]) -> Response:
        fields = [*request.headers, ("Connection", "close")]
        wire = SocketWire(_connect(self._address, self._context))
        wire.write(build_head(f"{request.method} {request.target} HTTP/1.1", fields) + body)
        return self._read_response(wire, bytearray(), request.method)

    def shutdown(self) -> None:
        raise RuntimeError("this server was not started here; end it where it was")

    def close(self) -> None:
        """It is not ours to end."""

    def _read(self, wire: SocketWire, taken: bytearray, done: Any) -> bool:
        """Read until it is done; return ``False`` at the end of the bytes."""
        is_over = False

        def read() -> bool:
            nonlocal is_over
            while (data := wire.read()) is not None:
                taken.extend(data)
                if not data:
                    is_over = True
                    break
            return is_over or bool(done())

        waiter = _Waiter(wire)
        self.clock.attach(waiter)
        try:
            if not self.clock.run(read, _TIMEOUT):
                raise NoMessage(f"{self._address} has not answered within {_TIMEOUT:g} s")
        finally:
            self.clock.detach(waiter)
        return not is_over

    def _read_response(self, wire: SocketWire, taken: bytearray, method: str) -> Response:
        self._read(wire, taken, lambda: _is_whole(taken, method))
        wire.cut()
        reader: Any = _Bytes(bytes(taken))
        response = http.client.HTTPResponse(reader, method=method)
        response.begin()
        return Response(response.status, response.getheaders(), response.read())


def _connect(address: tuple[str, int], context: ssl.SSLContext | None) -> socket.socket:
    family, kind, protocol, _, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        # Before it is connected: from then on the kernel decides.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
        sock.settimeout(_TIMEOUT)
        sock.connect(place)
        return sock if context is None else context.wrap_socket(sock, server_hostname=address[0])
    except BaseException:
        sock.close()
        raise


class _Waiter:
    """A connection that is waited for, and does nothing by itself."""

    def __init__(self, wire: SocketWire) -> None:
        self._wire = wire

    def step(self) -> bool:
        return False

    def next_deadline(self) -> float | None:
        return None

    def is_busy(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._wire.fileno()


class _Bytes:
    """An answer that has come as a whole, as the socket that the standard library reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _head(request: Request) -> bytes:
    return build_head(f"{request.method} {request.target} HTTP/1.1", request.headers)


def _is_whole(taken: bytes | bytearray, method: str) -> bool:
    """Tell whether an answer is there that says how long it is."""
    head, end, body = bytes(taken).partition(b"\r\n\r\n")
    fields = [line.decode("latin-1").partition(":") for line in head.split(b"\r\n")[1:]]
    sizes = get_all([(name, value.strip()) for name, _, value in fields], "Content-Length")
    return bool(end) and bool(sizes) and (method == "HEAD" or len(body) >= int(sizes[0]))


class LiveClient(Client):
    """
    A client of a running server.

    Args:
        url: Such as ``"http://127.0.0.1:8000"`` or ``"https://127.0.0.1:8443"``.
        timeout: How long is waited where nothing else is said; seconds.
        context: Which certificates are believed; by default those of the system's authorities.

    Raises:
        ValueError: It is no such URL.
    """

    def __init__(self, url: str, *, timeout: float = 5.0, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "ws", "https", "wss") or parts.hostname is None:
            raise ValueError(f"url is {url!r}; it is one like http://127.0.0.1:8000")
        self.url = url
        secure = parts.scheme in ("https", "wss")
        chosen = (context or ssl.create_default_context()) if secure else None
        remote = _Remote((parts.hostname, parts.port or (443 if secure else 80)), chosen)
        super().__init__(remote, parts.netloc, secure=secure, timeout=timeout)


class LiveServer(LiveClient):
    """
    A stock gunicorn on a free port of the loopback, and a client of it.

    Args:
        app: ``"module:attribute"``.
        worker: ``sync``, ``gthread``, ``gevent``.
        timeout: How long the client waits where nothing else is said; seconds.
        env: Environment variables on top of this process' own.
        options: Further options of gunicorn's command line.
        directory: Where it is run; by default here.
        tls: ``True``: it speaks TLS, with a certificate that trustme makes for it; or the files of yours and
            of its key, PEM. The client believes that one alone.

    Attributes:
        server: The process: ``server.log``, ``server.process.pid``.

    Raises:
        ModuleNotFoundError: gunicorn is not installed, or trustme for ``tls=True``.
        RuntimeError: It has not started; the message has its log.
    """

    def __init__(
        self,
        app: str,
        *,
        worker: str = "gthread",
        timeout: float = 5.0,
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        directory: str | os.PathLike[str] | None = None,
        tls: bool | tuple[str, str] = False,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ws4py_middleware-") if tls is True else None
        try:
            certificate = tls if isinstance(tls, tuple) else None
            if self._folder is not None:
                certificate = make_certificate(Path(self._folder.name))
            self.server = Gunicorn(
                app, worker=worker, env=env, options=options, directory=directory, certificate=certificate
            )
        except BaseException:
            self._clean_up()
            raise
        scheme = "http" if certificate is None else "https"
        super().__init__(f"{scheme}://{self.server.authority}", timeout=timeout, context=self.server.context)

    def shutdown(self) -> None:
        """Tell the server to end, and do not wait for that: it closes all connections with 1001."""
        self.server.terminate()

    def close(self) -> None:
        """Cut the connections that are still open, and stop the server. Again does nothing."""
        super().close()
        self.server.stop()
        self._clean_up()

    def _clean_up(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
