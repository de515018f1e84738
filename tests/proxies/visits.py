"""
A visitor who comes through a proxy, with websocket-client.

It is single-threaded: an SSL object of Python's is not made for a thread that reads while another one writes,
as the threads of ``websockets.sync`` do.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import struct
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import websocket

from tests.core.wire import KEY, TEXT, build_frame
from tests.proxies.programs import Proxy
from tests.servers import client_context

#: Where the visitor has come from: not where the proxy is.
ADDRESS = "127.0.0.2"
#: What a handler is told of the visitor.
KNOWN = {"address": ADDRESS, "scheme": "https", "host": "example.com"}

_EARLY = [
    *("GET /echo HTTP/1.1", "Host: example.com", "Upgrade: websocket", "Connection: Upgrade"),
    *("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""),
]


class Visit:
    """A WebSocket, opened."""

    def __init__(self, ws: Any, sock: ssl.SSLSocket) -> None:
        self.ws = ws
        self._sock = sock

    def ask(self, message: str) -> str:
        """Send a text and return the next one."""
        self.ws.send(message)
        return self.receive()

    def receive(self) -> str:
        """Return the next text; pings are answered on the way."""
        text = self.ws.recv()
        assert isinstance(text, str)
        return text

    def close(self) -> None:
        """Leave, with a closing handshake if there was none."""
        self.ws.close()
        self._sock.close()

    def read_end(self, timeout: float = 10.0) -> int | None:
        """
        Answer pings until the connection ends.

        Returns:
            The close code; 1006 without a closing handshake; None when it is still open after the time.
        """
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.ws.settimeout(max(0.01, deadline - time.monotonic()))
                opcode, data = self.ws.recv_data(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    break
        except websocket.WebSocketTimeoutException:
            return None
        except (websocket.WebSocketConnectionClosedException, ConnectionError, ssl.SSLError):
            return 1006
        finally:
            self.ws.settimeout(10)
        (code,) = struct.unpack_from("!H", data)
        assert isinstance(code, int)
        return code


def visit(
    proxy: Proxy,
    path: str,
    *,
    origin: str = "https://example.com",
    source: str = ADDRESS,
    headers: Mapping[str, str] | None = None,
) -> Visit:
    """
    Connect to ``wss://example.com``, as a page of it does.

    Raises:
        websocket.WebSocketBadStatusException: It was refused.
        OSError: There was no answer.
    """
    sock = connect(proxy, source)
    try:
        url = f"wss://example.com{path}"
        return Visit(websocket.create_connection(url, socket=sock, origin=origin, header=headers), sock)
    except BaseException:
        sock.close()
        raise


@contextlib.contextmanager
def visiting(proxy: Proxy, path: str, **options: Any) -> Iterator[Visit]:
    """Do the same for the length of a ``with`` block."""
    found = visit(proxy, path, **options)
    try:
        yield found
    finally:
        found.close()


def get_refusal(proxy: Proxy, path: str, **options: Any) -> int:
    """Return the status with which a visit is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        visit(proxy, path, **options)
    status: int = caught.value.status_code
    return status


def check_early_frame(proxy: Proxy) -> None:
    """Send a message in the same write as the request, when no answer is there yet; it has to be echoed."""
    with connect(proxy) as sock:
        sock.sendall("\r\n".join(_EARLY).encode() + build_frame(TEXT, b"early", key=KEY))
        sock.settimeout(10)
        data = b""
        while not data.endswith(b"\r\n\r\n\x81\x05early"):
            piece = sock.recv(65536)
            assert piece, data
            data += piece


def get_page(proxy: Proxy, path: str) -> str:
    """Get a page of ``https://example.com``."""
    connection = http.client.HTTPSConnection("example.com")
    connection.sock = connect(proxy)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()


def connect(proxy: Proxy, source: str = ADDRESS) -> ssl.SSLSocket:
    """Open a connection to ``example.com``, whose certificate is checked."""
    raw = proxy.connect(source)
    try:
        return client_context().wrap_socket(raw, server_hostname="example.com")
    except BaseException:
        raw.close()
        raise
