"""Proxies that tests start: one of HTTP's CONNECT, one of SOCKS5, with and without a password."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

from tests.entrances.scripted import BOUND


class Refused(Exception):
    """The proxy has said no; nothing is passed on."""


class Relay:
    """
    Accept connections, have :meth:`greet` find out where each is to go, and pass bytes on from there on.

    Args:
        goal: Where every name leads to, a port of this machine; unless :attr:`goals` has the name.
        login: User and password that are asked for.
        drips: Whether answers are sent byte by byte.
    """

    scheme = ""

    def __init__(self, goal: int, *, login: tuple[str, str] | None = None, drips: bool = False) -> None:
        self.goal = goal
        self.goals: dict[str, int] = {}
        self.login = login
        self.drips = drips
        #: What each was asked for: ``host:port``.
        self.asked: list[str] = []
        #: All that clients have said within their tunnels.
        self.carried = b""
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def url(self, login: str = "") -> str:
        """Return the proxy's URL."""
        return f"{self.scheme}://{login}{'@' if login else ''}127.0.0.1:{self.port}"

    def greet(self, sock: socket.socket) -> str:
        """Return ``host:port`` that is asked for."""
        raise NotImplementedError

    def said(self, sock: socket.socket, data: bytes) -> None:
        """Answer, at once or in drops."""
        for piece in [data[i : i + 1] for i in range(len(data))] if self.drips else [data]:
            sock.sendall(piece)

    def take(self, sock: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            if not (piece := sock.recv(size - len(data))):
                raise EOFError
            data += piece
        return data

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in [self._accepting, *self._threads]:
            thread.join(BOUND)
            assert not thread.is_alive()
        if self.errors:
            raise self.errors[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(BOUND)
        # A drop is a segment of its own.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with sock:
            try:
                goal = self.goals.get(self.greet(sock).rpartition(":")[0], self.goal)
                with socket.create_connection(("127.0.0.1", goal), timeout=BOUND) as server:
                    self._pass_on(sock, server)
            except (Refused, EOFError, OSError):
                pass  # the client, or the server, is told by the end of the connection
            except BaseException as error:
                self.errors.append(error)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        while ready := select.select([client, server], [], [], BOUND)[0]:
            for source in ready:
                data = source.recv(65536)
                if not data:
                    return
                if source is client:
                    self.carried += data
                    server.sendall(data)
                else:
                    client.sendall(data)


class HttpProxy(Relay):
    """Know CONNECT, and nothing else."""

    scheme = "http"

    def greet(self, sock: socket.socket) -> str:
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += self.take(sock, 1)
        head = data.decode("latin-1")
        method, where, _ = head.split("\r\n")[0].split(" ")
        assert method == "CONNECT"
        assert f"\r\nHost: {where}\r\n" in head
        self.asked.append(where)
        if self.login is not None:
            digest = base64.b64encode(":".join(self.login).encode()).decode()
            if f"\r\nProxy-Authorization: Basic {digest}\r\n" not in head:
                self.said(
                    sock,
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b"Proxy-Authenticate: Basic realm=office\r\nContent-Length: 11\r\n\r\nwho are you",
                )
                raise Refused
        self.said(sock, b"HTTP/1.1 200 Connection established\r\n\r\n")
        return where


class SocksProxy(Relay):
    """Speak SOCKS5, RFC 1928, with RFC 1929."""

    scheme = "socks5"
    #: The code of the reply, and the address that it has.
    code = 0
    bound = b"\x01\x7f\x00\x00\x01"

    def greet(self, sock: socket.socket) -> str:
        version, count = self.take(sock, 2)
        assert version == 5
        methods = self.take(sock, count)
        if self.login is None:
            self.said(sock, b"\x05\x00")
        elif 2 not in methods:
            self.said(sock, b"\x05\xff")
            raise Refused
        else:
            self.said(sock, b"\x05\x02")
            self._check_login(sock)
        version, command, _, kind = self.take(sock, 4)
        assert (version, command) == (5, 1)
        if kind == 3:
            host = self.take(sock, self.take(sock, 1)[0]).decode()
        else:
            family = socket.AF_INET if kind == 1 else socket.AF_INET6
            host = socket.inet_ntop(family, self.take(sock, 4 if kind == 1 else 16))
        (port,) = struct.unpack(">H", self.take(sock, 2))
        self.asked.append(f"{host}:{port}")
        self.said(sock, bytes([5, self.code, 0]) + self.bound + b"\x04\x38")
        if self.code:
            raise Refused
        return self.asked[-1]

    def _check_login(self, sock: socket.socket) -> None:
        assert self.take(sock, 1) == b"\x01"
        user = self.take(sock, self.take(sock, 1)[0]).decode()
        password = self.take(sock, self.take(sock, 1)[0]).decode()
        is_known = (user, password) == self.login
        self.said(sock, b"\x01\x00" if is_known else b"\x01\x01")
        if not is_known:
            raise Refused


@contextlib.contextmanager
def proxy(kind: type[Relay], goal: int, **options: Any) -> Iterator[Any]:
    """Run a proxy of a kind."""
    relay = kind(goal, **options)
    try:
        yield relay
    finally:
        relay.stop()
