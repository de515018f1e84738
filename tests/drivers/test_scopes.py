"""Scopes: what an ASGI server says of a connection, as the validator and the handlers want it."""

from __future__ import annotations

from typing import Any

import pytest

from ws4py_middleware.core.handshake import accept_request
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.scopes import build_environ, build_request, get_path

HEADERS = [
    (b"host", b"example.com"),
    (b"upgrade", b"websocket"),
    (b"connection", b"keep-alive, Upgrade"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
]


def scope(headers: list[tuple[bytes, bytes]] = HEADERS, **changes: Any) -> dict[str, Any]:
    usual = {
        "type": "websocket",
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/chat/a b",
        "raw_path": b"/chat/a%20b",
        "query_string": b"x=1",
        "root_path": "",
        "headers": headers,
        "server": ("127.0.0.1", 8000),
        "client": ("10.0.0.7", 50000),
    }
    return {**usual, **changes}


@pytest.mark.parametrize(
    ("path", "root", "found"),
    [
        ("/chat", "", "/chat"),
        ("/api/chat", "/api", "/chat"),
        ("/api/chat", "/api/", "/chat"),
        ("/chat", "/api", "/chat"),
        ("/apis", "/api", "/apis"),
        ("/api", "/api", ""),
        ("/\udcff", "", "/\xff"),
    ],
)
def test_get_path_is_what_is_below_the_root(path: str, root: str, found: str) -> None:
    assert get_path(scope(path=path, root_path=root)) == found


def test_request_is_what_was_asked() -> None:
    request = build_request(scope())
    assert (request.method, request.target, request.http_version) == ("GET", "/chat/a%20b?x=1", "HTTP/1.1")
    assert not request.secure
    assert accept_request(request, Policy()).subprotocol is None


@pytest.mark.parametrize("left", [HEADERS[:1], HEADERS])
def test_request_of_a_server_that_has_removed_the_handshake_is_valid(left: list[tuple[bytes, bytes]]) -> None:
    accept_request(build_request(scope(left)), Policy())


@pytest.mark.parametrize(
    "wrong",
    [
        (b"sec-websocket-version", b"8"),
        (b"sec-websocket-key", b"short"),
        (b"connection", b"close"),
        (b"content-length", b"5"),
        (b"origin", b"https://evil.example"),
        (b"host", b"two.example"),
    ],
)
def test_request_what_the_server_shows_is_checked(wrong: tuple[bytes, bytes]) -> None:
    headers = [header for header in HEADERS if header[0] != wrong[0] or wrong[0] == b"host"]
    with pytest.raises(HandshakeError):
        accept_request(build_request(scope([*headers, wrong])), Policy())


def test_request_of_http2_has_its_host_from_the_authority() -> None:
    request = build_request(scope([(b":authority", b"example.com")], http_version="2", scheme="wss"))
    assert (request.get("Host"), request.secure) == ("example.com", True)
    accept_request(request, Policy())


def test_request_extensions_are_the_servers_and_subprotocols_are_found() -> None:
    headers = [*HEADERS, (b"sec-websocket-extensions", b"permessage-deflate")]
    request = build_request(scope(headers, subprotocols=["a", "b"]))
    agreed = accept_request(request, Policy(compression=True, subprotocols=["b"]))
    assert (list(agreed.extensions), agreed.subprotocol) == ([], "b")


def test_environ_is_like_wsgis() -> None:
    headers = [*HEADERS, (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"x-y", b"1"), (b"x-y", b"2")]
    headers += [(b"content-type", b"text/plain")]
    found = build_environ(scope(headers, root_path="/chat", path="/chat/ä", scheme="wss"))
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/chat",
        "PATH_INFO": "/Ã¤",
        "QUERY_STRING": "x=1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "10.0.0.7",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "example.com",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_Y": "1,2",
        "CONTENT_TYPE": "text/plain",
        "wsgi.url_scheme": "https",
    }
    assert {key: found[key] for key in expected} == expected
    assert found["asgi.scope"]["scheme"] == "wss"


def test_environ_of_a_scope_without_addresses_has_none() -> None:
    found = build_environ(scope(server=None, client=None, query_string=None))
    assert (found["SERVER_NAME"], found["SERVER_PORT"], found["QUERY_STRING"]) == ("", "", "")
    assert "REMOTE_ADDR" not in found
