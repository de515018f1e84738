"""core.handshake: the requests that the server refuses, each with its status."""

from __future__ import annotations

import base64

import pytest

from tests.core.handshakes import KEY, refuse, request
from ws4py_middleware.core.handshake import Request, accept_request
from ws4py_middleware.core.policy import Policy

# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "CONNECT", "get", "", "G\r\nT"])
def test_accept_request_another_method_405(method: str) -> None:
    error = refuse(request(method=method))
    assert error.status == 405
    assert dict(error.headers)["Allow"] == "GET"


@pytest.mark.parametrize(
    "version", ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/2", "http/1.1", "", "HTTP/1.10"]
)
def test_accept_request_another_http_version_400(version: str) -> None:
    error = refuse(request(http_version=version))
    assert error.status == 400
    assert "HTTP/1.1" in error.msg


def test_accept_request_plain_request_426() -> None:
    assert refuse(request(("Upgrade", None), ("Connection", "keep-alive"))).status == 426
    assert refuse(Request("GET", "/", "HTTP/1.1", [])).status == 426


@pytest.mark.parametrize(
    "value",
    ["notwebsocket", "websocket2", "websockets", "web", "h2c", "websocket/13", "", ","],
)
def test_accept_request_upgrade_to_something_else_426(value: str) -> None:
    assert refuse(request(("Upgrade", value))).status == 426


@pytest.mark.parametrize(
    "changes",
    [
        [("Upgrade", "web socket")],
        [("Upgrade", "websocket;x")],
        [("Upgrade", "websocket\xa0")],
        [("Upgrade", '"websocket"')],
        [("Connection", None)],
        [("Connection", "")],
        [("Connection", "keep-alive")],
        [("Connection", "notupgrade")],
        [("Connection", "upgraded")],
        [("Connection", "keep-alive Upgrade")],
        [("Connection", "Upgrade;x")],
        # A body.
        [("Content-Length", "5")],
        [("Content-Length", "00")],
        [("Content-Length", "+0")],
        [("Content-Length", "-0")],
        [("Content-Length", "")],
        [("Content-Length", "0, 0")],
        [("Content-Length", "0"), ("Content-Length", "5")],
        [("Content-Length", "zero")],
        [("Content-Length", "\xb2")],
        [("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "identity")],
        [("Transfer-Encoding", "")],
        [("Transfer-Encoding", "chunked"), ("Content-Length", "0")],
        # Not exactly one host.
        [("Host", None)],
        [("Host", "")],
        [("Host", "a"), ("Host", "a")],
        [("Host", "a,a")],
        [("Host", "a, b")],
        [("Host", "a/b")],
        [("Host", "user@a")],
        [("Host", "a b")],
        [("Host", "a:b")],
        [("Host", "a:65536")],
        [("Host", "b\xfccher.example")],
        [("Host", "[::1")],
        # Not exactly one version that could be one.
        [("Sec-WebSocket-Version", "")],
        [("Sec-WebSocket-Version", "abc")],
        [("Sec-WebSocket-Version", "13, 13")],
        [("Sec-WebSocket-Version", "13, 8")],
        [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "13")],
        [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "8")],
        [("Sec-WebSocket-Version", "+13")],
        [("Sec-WebSocket-Version", "013")],
        [("Sec-WebSocket-Version", "13.0")],
        [("Sec-WebSocket-Version", "1 3")],
        [("Sec-WebSocket-Version", "\xb9\xb3")],
        [("Sec-WebSocket-Version", "9" * 5000)],
        # Not exactly one key of 16 bytes.
        [("Sec-WebSocket-Key", None)],
        [("Sec-WebSocket-Key", "")],
        [("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)],
        [("Sec-WebSocket-Key", f"{KEY},{KEY}")],
        [("Sec-WebSocket-Key", f"{KEY}, {KEY}")],
        [("Sec-WebSocket-Key", "not base64 at all!")],
        [("Sec-WebSocket-Key", KEY.rstrip("="))],
        [("Sec-WebSocket-Key", KEY[:-1])],
        [("Sec-WebSocket-Key", KEY + "=")],
        [("Sec-WebSocket-Key", "=" + KEY[:-1])],
        [("Sec-WebSocket-Key", KEY + "\n!")],
        [("Sec-WebSocket-Key", KEY[:10] + "*" + KEY[10:])],
        [("Sec-WebSocket-Key", KEY[:10] + "\n" + KEY[11:])],
        [("Sec-WebSocket-Key", KEY.replace("d", "\xe4"))],
        [("Sec-WebSocket-Key", "\xff" * 24)],
        [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZR==")],  # the unused bits are not 0
        [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j_Q==")],  # the alphabet of URLs
        [("Sec-WebSocket-Key", base64.b64encode(bytes(15)).decode())],
        [("Sec-WebSocket-Key", base64.b64encode(bytes(17)).decode())],
        [("Sec-WebSocket-Key", base64.b64encode(bytes(18)).decode())],
        [("Sec-WebSocket-Key", "A" * 8000)],
        # Lists that are none.
        [("Sec-WebSocket-Protocol", "")],
        [("Sec-WebSocket-Protocol", "chat, chat")],
        [("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "chat")],
        [("Sec-WebSocket-Protocol", "a b")],
        [("Sec-WebSocket-Protocol", "chat\x00")],
        [("Sec-WebSocket-Extensions", "")],
        [("Sec-WebSocket-Extensions", "foo;")],
        [("Sec-WebSocket-Extensions", "foo; a=\xe9")],
        [("Sec-WebSocket-Extensions", 'foo; a="x')],
        [("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=")],
    ],
)
def test_accept_request_malformed_400(changes: list[tuple[str, str | None]]) -> None:
    for policy in (Policy(), Policy(compression=True, subprotocols=["chat"], origins="*")):
        assert refuse(request(*changes), policy).status == 400


def test_accept_request_both_kinds_of_body_400_before_anything_else_is_read() -> None:
    asked = request(("Transfer-Encoding", "chunked"), ("Content-Length", "5"), ("Host", None))
    assert "body" in refuse(asked).msg


@pytest.mark.parametrize("value", [None, "0", "7", "8", "12", "14", "99", "255"])
def test_accept_request_another_version_426(value: str | None) -> None:
    error = refuse(request(("Sec-WebSocket-Version", value)))
    assert error.status == 426
    assert set(error.headers) == {
        ("Sec-WebSocket-Version", "13"),
        ("Upgrade", "websocket"),
        ("Connection", "close, Upgrade"),
    }


def test_accept_request_a_message_never_echoes_control_characters() -> None:
    error = refuse(request(("Sec-WebSocket-Key", "a\r\nSet-Cookie: a=b\x00\x1b[2J\u2028")))
    assert (
        error.msg == r"Sec-WebSocket-Key is 'a\r\nSet-Cookie: a=b\x00\x1b[2J\u2028'; it is 16 bytes in base64"
    )


# --- whose pages, which hosts ----------------------------------------------------------------------


LOOK_ALIKES = [
    "http://evil-server.example.com",
    "http://evilserver.example.com",
    "http://server.example.com.evil.com",
    "http://server.example.com:1234",
    "http://sub.server.example.com",
    "http://example.com",
    "http://server-example.com",
    "http://server.example.com/",
    "http://server.example.com@evil.com",
    "http://evil.com/http://server.example.com",
    "http://server.example.com http://evil.com",
    "http://server.example.com, http://server.example.com",
    "server.example.com",
    "null",
    "file://",
    "",
    "http://server.ex\xe4mple.com",
    "http://server.example.com\x00",
]


@pytest.mark.parametrize("origin", LOOK_ALIKES)
def test_accept_request_pages_of_other_origins_403(origin: str) -> None:
    error = refuse(request(("Origin", origin)))
    assert error.status == 403
    accept_request(request(("Origin", origin)), Policy(origins="*"))


def test_accept_request_two_origins_403() -> None:
    same = ("Origin", "http://server.example.com")
    assert refuse(request(same, same)).status == 403


def test_accept_request_a_page_without_tls_for_a_request_with_it_403() -> None:
    origin = ("Origin", "http://server.example.com")
    accept_request(request(origin), Policy())
    assert refuse(request(origin, secure=True)).status == 403
    accept_request(request(("Origin", "https://server.example.com"), secure=True), Policy())


def test_accept_request_origins_of_a_list_and_of_a_callable() -> None:
    asked = request(("Origin", "https://app.example.net"))
    accept_request(asked, Policy(origins=["https://*.example.net"]))
    accept_request(asked, Policy(origins=lambda origin: origin == "https://app.example.net"))
    assert refuse(asked, Policy(origins=["https://other.example.net"])).status == 403
    assert refuse(asked, Policy(origins=lambda origin: False)).status == 403
    accept_request(request(), Policy(origins=[]))  # no browser, no Origin


def test_accept_request_a_host_that_is_not_served_421() -> None:
    policy = Policy(hosts=["*.example.com"])
    accept_request(request(), policy)
    assert refuse(request(("Host", "evil.com")), policy).status == 421
