"""A raw client: what exactly goes over the wire when an upgrade is asked for."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import NamedTuple

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

HANDSHAKE = {
    "Host": "localhost",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


class Answer(NamedTuple):
    """The head of a response, and what came behind it."""

    status: int
    #: Names in lower case.
    headers: list[tuple[str, str]]
    rest: bytes

    def get(self, name: str) -> str | None:
        """Return all values of a header, joined; None without one."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None


def build(path: str, changes: Mapping[str, str | None] | None = None, method: str = "GET") -> bytes:
    """Build an opening handshake; ``None`` takes a header away."""
    headers = {**HANDSHAKE, **(changes or {})}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def parse(data: bytes) -> Answer:
    head, _, rest = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in fields)]
    return Answer(int(line.split(" ")[1]), headers, rest)


def ask(sock: socket.socket, request: bytes) -> Answer:
    """Send a request, and read until the server ends the connection; close it."""
    with contextlib.closing(sock):
        sock.sendall(request)
        data = b""
        # A server that closes with our bytes unread resets the connection behind its answer.
        with contextlib.suppress(ConnectionError):
            while chunk := sock.recv(65536):
                data += chunk
    return parse(data)


def read_head(sock: socket.socket) -> Answer:
    """Read the head of a response and whatever came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        assert chunk, f"the connection ended after {data!r}"
        data += chunk
    return parse(data)
