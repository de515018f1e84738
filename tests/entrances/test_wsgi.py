"""
The middleware in process: who is asked, who answers, and with what.

What goes over the wire is in test_wsgi_wire.py, views that return the upgrade in test_upgrade.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.entrances.adapters import PIPES
from tests.entrances.in_process import ENVIRON, ask, site
from tests.entrances.wire import KEY
from ws4py_middleware import EchoWebSocket, Policy, Route, WebSocketMiddleware
from ws4py_middleware.manager import WebSocketManager


@pytest.mark.parametrize(
    ("changes", "status", "text", "headers"),
    [
        ({"HTTP_CONNECTION": None}, 400, "the header Connection: Upgrade is missing", {}),
        ({"HTTP_CONNECTION": "close"}, 400, "the header Connection: Upgrade is missing", {}),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, 400, "WebSockets need HTTP/1.1", {}),
        ({"SERVER_PROTOCOL": "HTTP/2"}, 400, "WebSockets need HTTP/1.1", {}),
        ({"HTTP_HOST": None}, 400, "the request has 0 Host headers", {}),
        ({"HTTP_HOST": "a,b"}, 400, "Host is malformed", {}),
        ({"CONTENT_LENGTH": "5"}, 400, "the request has a Content-Length", {}),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 400, "the request has a Transfer-Encoding", {}),
        ({"HTTP_SEC_WEBSOCKET_KEY": None}, 400, "0 Sec-WebSocket-Key headers", {}),
        ({"HTTP_SEC_WEBSOCKET_KEY": "short"}, 400, "it is 16 bytes in base64", {}),
        ({"HTTP_SEC_WEBSOCKET_KEY": f"{KEY},{KEY}"}, 400, "it is 16 bytes in base64", {}),
        ({"HTTP_SEC_WEBSOCKET_KEY": "\xe4" * 24}, 400, "it is 16 bytes in base64", {}),
        ({"HTTP_SEC_WEBSOCKET_VERSION": None}, 426, "it is 13", {"Upgrade": "websocket"}),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, 426, "version 8", {"Upgrade": "websocket"}),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "13,13"}, 400, "it is 13, once", {}),
        ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a b"}, 400, "Sec-WebSocket-Protocol is malformed", {}),
        ({"HTTP_SEC_WEBSOCKET_EXTENSIONS": ";"}, 400, "Sec-WebSocket-Extensions is malformed", {}),
        ({"HTTP_ORIGIN": "https://evil.example"}, 403, "may not connect here", {}),
        ({"HTTP_ORIGIN": "null"}, 403, "may not connect here", {}),
    ],
)
def test_bad_handshake_gets_its_status_and_one_line(
    changes: dict[str, Any], status: int, text: str, headers: dict[str, str]
) -> None:
    response = ask(WebSocketMiddleware(site, {"/ws": EchoWebSocket}), **changes)
    assert response.status_int == status
    assert response.content_type == "text/plain"
    assert text in response.text
    assert response.text.count("\n") == 1
    assert response.text.endswith("\n")
    assert response.headers["Connection"] == ("close, Upgrade" if status == 426 else "close")
    if status in (400, 426):
        assert response.headers["Sec-WebSocket-Version"] == "13"
    for name, value in headers.items():
        assert response.headers[name] == value


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_other_method_is_405(method: str) -> None:
    response = ask(WebSocketMiddleware(site, {"/ws": EchoWebSocket}), method=method)
    assert response.status_int == 405
    assert response.headers["Allow"] == "GET"
    assert (response.body == b"") == (method == "HEAD")


def test_same_origin_is_that_of_the_request() -> None:
    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket})
    assert ask(app, HTTP_ORIGIN="http://localhost").status_int == 501
    assert ask(app, HTTP_ORIGIN="http://localhost:81").status_int == 403
    secure = {"wsgi.url_scheme": "https"}
    assert ask(app, HTTP_ORIGIN="https://localhost", **secure).status_int == 501
    assert ask(app, HTTP_ORIGIN="http://localhost", **secure).status_int == 403


def test_server_that_hides_its_socket_is_501_and_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket})
    responses = [ask(app, SERVER_SOFTWARE="hermit/1.0") for _ in range(3)]
    assert [response.status_int for response in responses] == [501] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"], "the operator is told once"
    assert "hermit/1.0 does not give up its connection; run it under gunicorn" in responses[0].text


# --- settings ---------------------------------------------------------------------------------------


make_any: Any = WebSocketMiddleware  # for arguments that no type checker lets through


def test_options_are_those_of_the_policy_of_class_and_route() -> None:
    class Own(EchoWebSocket):
        policy = Policy(origins=["https://own.example"])

    app = WebSocketMiddleware(
        site,
        {"/a": EchoWebSocket, "/b": Route(EchoWebSocket, origins="*"), "/c": Own},
        origins=["https://app.example"],
    )
    statuses = {
        path: [
            ask(app, path, HTTP_ORIGIN=f"https://{origin}.example").status_int
            for origin in ("app", "own", "other")
        ]
        for path in ("/a", "/b", "/c")
    }
    assert statuses == {"/a": [501, 403, 403], "/b": [501, 501, 501], "/c": [403, 501, 403]}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: make_any({"/": EchoWebSocket}),
            TypeError,
            "app is {.*}; it is a WSGI application",
        ),
        (lambda: make_any(site, max_mesage_size=1), TypeError, "did you mean 'max_message_size'"),
        (lambda: make_any(site, authorise=1), TypeError, "did you mean 'authorize'"),
        (lambda: make_any(site, {}, route={}), TypeError, "did you mean 'routes'"),
        (lambda: make_any(site, authorize=1), TypeError, "authorize is 1; it is a function"),
        (lambda: make_any(site, manager=1), TypeError, "manager is 1"),
        (lambda: make_any(site, ping_interval=-1), ValueError, "ping_interval is -1"),
        (
            lambda: make_any(site, {"/x": dict}),
            TypeError,
            r"routes\['/x'\]: a handler is a subclass",
        ),
        (
            lambda: make_any(site, {"/x": "Chat"}),
            TypeError,
            r"routes\['/x'\]: .*the string 'Chat'",
        ),
        (lambda: make_any(site, [EchoWebSocket]), TypeError, "routes is .*; it is a dict"),
    ],
)
def test_mistake_is_told_when_the_middleware_is_made(
    make: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


def test_manager_that_is_about_to_end_is_503_and_says_when_to_come_back() -> None:
    manager = WebSocketManager()
    manager.closing = True
    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket}, manager=manager)
    with PIPES.plugged(app) as plugged:
        response = ask(plugged)
    assert response.status_int == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "about to restart" in response.text


def test_manager_that_is_full_is_503() -> None:
    manager = WebSocketManager()
    manager.max_connections = 0
    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket}, manager=manager)
    with PIPES.plugged(app) as plugged:
        response = ask(plugged)
    assert (response.status_int, response.headers["Connection"]) == (503, "close")


# --- servers that keep to the letter ----------------------------------------------------------------


@pytest.mark.parametrize(
    "extra", [{}, {"SERVER_SOFTWARE": "WSGIServer/0.2"}, {"waitress.client_disconnected": None}]
)
def test_server_that_forbids_hop_by_hop_headers_gets_the_rest(extra: dict[str, Any]) -> None:
    started: list[Any] = []

    def strict(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        assert exc_info or not started, "start_response was called twice"
        started.append((status, headers))
        assert not any(re.match("(?i)connection|upgrade", name) for name, _ in headers), "hop by hop"

    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket})
    environ = {"PATH_INFO": "/ws", "REQUEST_METHOD": "GET", **ENVIRON, "HTTP_SEC_WEBSOCKET_VERSION": "7"}
    body = b"".join(app({**environ, **extra}, strict))
    status, headers = started[-1]
    assert status == "426 Upgrade Required"
    assert dict(headers)["Sec-WebSocket-Version"] == "13"
    assert b"version 7" in body
