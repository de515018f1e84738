"""The opening handshake of RFC 6455 section 1.2, and what is changed about it."""

from __future__ import annotations

from typing import Any

import pytest

from ws4py_middleware.core.handshake import Request, accept_request
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.exc import HandshakeError

# RFC 6455 section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

Headers = list[tuple[str, str]]

HEADERS: Headers = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
]


def request(*changes: tuple[str, str | None], **options: Any) -> Request:
    """Return the RFC's request; each change replaces a header, or leaves it out when it is ``None``."""
    names = {name.lower() for name, _ in changes}
    headers = [header for header in HEADERS if header[0].lower() not in names]
    headers += [(name, value) for name, value in changes if value is not None]
    fields = {"method": "GET", "target": "/chat", "http_version": "HTTP/1.1", "headers": headers} | options
    return Request(**fields)


def refuse(request: Request, policy: Policy | None = None) -> HandshakeError:
    """Give a request that has to be refused; check what all refusals have in common."""
    with pytest.raises(HandshakeError) as caught:
        accept_request(request, policy or Policy())
    error = caught.value
    headers = dict(error.headers)
    assert len(headers) == len(error.headers)
    assert 400 <= error.status < 500
    assert "close" in headers["Connection"].split(", ")
    assert error.msg
    assert error.msg.isascii()
    assert error.msg.isprintable()
    if error.status in (400, 426):
        assert headers["Sec-WebSocket-Version"] == "13"
    if error.status == 426:
        assert headers["Upgrade"] == "websocket"
        assert "Upgrade" in headers["Connection"].split(", ")
    return error


ANSWER: Headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)]


def changed(*changes: tuple[str, str | None]) -> Headers:
    names = {name for name, _ in changes}
    headers = [header for header in ANSWER if header[0] not in names]
    return headers + [(name, value) for name, value in changes if value is not None]


#: Headers that an application may not add, on neither side.
INJECTIONS = [
    ("X-A", "b\r\nX-B: c"),
    ("X-A", "b\n"),
    ("X-A", "b\x00"),
    ("X-A", "\u20ac"),
    ("X-A\r\n", "b"),
    ("X A", "b"),
    ("", "b"),
    ("Connection", "close"),
    ("upgrade", "h2c"),
    ("Content-Length", "5"),
    ("Transfer-Encoding", "chunked"),
    ("Sec-WebSocket-Accept", ACCEPT),
    ("SEC-WEBSOCKET-PROTOCOL", "chat"),
]
