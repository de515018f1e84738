"""
The middleware in process: who is asked, who answers, and with what.

What goes over the wire is in test_wsgi_wire.py, views that return the upgrade in test_upgrade.py.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import pytest
from werkzeug.exceptions import abort
from werkzeug.wrappers import Response

from tests.entrances.adapters import PIPES
from tests.entrances.wire import KEY
from ws4py_middleware import EchoWebSocket, Policy, Route, WebSocket, WebSocketMiddleware, upgrade
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.wsgi import _hide_upgrade

with warnings.catch_warnings():
    # WebOb imports cgi, which Python 3.11 and 3.12 warn of.
    warnings.simplefilter("ignore", DeprecationWarning)
    from webtest import TestApp

HANDSHAKE = {
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_UPGRADE": "websocket",
    "HTTP_SEC_WEBSOCKET_KEY": KEY,
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"nothing here"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"home"]


def ask(app: Any, path: str = "/ws", *, method: str = "GET", **changes: str | None) -> Any:
    """Send an opening handshake through webtest, which also checks that we keep to WSGI."""
    environ = {**HANDSHAKE, **changes}
    without = [key for key, value in environ.items() if value is None]

    def outermost(environ: Any, start_response: Any) -> Any:
        for key in without:
            environ.pop(key, None)
        return app(environ, start_response)

    environ = {key: value for key, value in environ.items() if value is not None}
    return TestApp(outermost).request(path, method=method, environ=environ, expect_errors=True)


def call(app: Any, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Call an application as a server does that knows nothing but PEP 3333."""
    started: list[Any] = []
    body = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    try:
        pieces = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return (*started[-1], pieces)


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


@pytest.mark.parametrize(("name", "value"), [("HTTP_UPGRADE", None), ("HTTP_UPGRADE", "h2c")])
def test_plain_request_on_a_route_is_426_where_the_application_has_nothing(
    name: str, value: str | None
) -> None:
    changes: dict[str, Any] = {name: value}
    response = ask(WebSocketMiddleware(site, {"/ws": EchoWebSocket}), **changes)
    assert response.status_int == 426
    assert response.headers["Upgrade"] == "websocket"
    assert response.headers["Sec-WebSocket-Version"] == "13"
    assert response.text == "this is a WebSocket; it is asked for with the header Upgrade: websocket\n"


def test_plain_request_on_a_route_is_the_application_s_where_it_has_something() -> None:
    response = ask(WebSocketMiddleware(site, {"/": EchoWebSocket}), "/", HTTP_UPGRADE=None)
    assert (response.status_int, response.text) == (200, "home")


class Recorded:
    """An iterable that knows whether it was closed."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        self.closed += 1


def not_found_eager(start_response: Any) -> Iterable[bytes]:
    start_response("404 Not Found", [])
    return [b"nothing"]


def not_found_lazy(start_response: Any) -> Iterable[bytes]:
    start_response("404 Not Found", [])
    yield b"nothing"
    yield b"at all"


def not_found_empty(start_response: Any) -> Iterable[bytes]:
    yield from ()
    start_response("404 Not Found", [])


def not_found_written(start_response: Any) -> Iterable[bytes]:
    start_response("404 Not Found", [])(b"nothing")
    return []


def not_found_with_exc_info(start_response: Any) -> Iterable[bytes]:
    try:
        raise LookupError("/ws")
    except LookupError:
        start_response("404 Not Found", [], sys.exc_info())
    return [b"nothing"]


NOT_FOUND = [not_found_eager, not_found_lazy, not_found_empty, not_found_written, not_found_with_exc_info]


@pytest.mark.parametrize("answer", NOT_FOUND)
def test_application_s_404_becomes_426_however_it_is_said(answer: Callable[[Any], Iterable[bytes]]) -> None:
    bodies = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        bodies.append(Recorded(answer(start_response)))
        return bodies[-1]

    status, _, body = call(WebSocketMiddleware(app, {"/ws": EchoWebSocket}), {"PATH_INFO": "/ws"})
    assert status == "426 Upgrade Required"
    assert body.startswith(b"this is a WebSocket;")
    assert bodies[0].closed == 1


def test_error_behind_a_404_is_the_application_s() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("404 Not Found", [])
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Internal Server Error", [("X-A", "1")], sys.exc_info())
        return [b"broken"]

    answer = call(WebSocketMiddleware(app, {"/ws": EchoWebSocket}), {"PATH_INFO": "/ws"})
    assert answer == ("500 Internal Server Error", [("X-A", "1")], b"broken")


def test_lazy_answer_that_is_no_404_passes_piece_by_piece() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    started: list[Any] = []
    body = WebSocketMiddleware(app, {"/ws": EchoWebSocket})(
        {"PATH_INFO": "/ws"}, lambda *args: started.append(args)
    )
    pieces = iter(body)
    assert started == []
    assert (next(pieces), started) == (b"one", [("200 OK", [])])
    assert list(pieces) == [b"two"]


@pytest.mark.parametrize("path", ["/else", "/ws"])
def test_request_that_is_no_upgrade_passes_untouched(path: str) -> None:
    seen: list[Any] = []
    body = [b"x"]

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.append(environ)
        start_response("200 OK", [])
        return body

    environ = {"PATH_INFO": path, "HTTP_CONNECTION": "keep-alive"}
    before = dict(environ)
    started: list[Any] = []
    result = WebSocketMiddleware(app, {"/ws": EchoWebSocket})(environ, lambda *args: started.append(args))
    assert result is body, "a server may look for its own file wrapper"
    assert seen[0] is environ
    assert environ == before
    assert started == [("200 OK", [])]


# --- authorize -------------------------------------------------------------------------------------


def deny_all(environ: Any, **params: Any) -> Any:
    abort(401, "who are you?")


def django_forbidden(environ: Any) -> Any:
    from django.http import HttpResponse

    import tests.entrances.django_app  # noqa: F401 - it sets Django up

    response = HttpResponse("no entry", status=403, headers={"X-Why": "rules"})
    response.set_cookie("seen", "1")
    return response


def refuse_with_error(environ: Any) -> Any:
    raise HandshakeError("the house is closed on Sundays", 403, [("Retry-After", "86400")])


@pytest.mark.parametrize(
    ("authorize", "status", "text", "headers"),
    [
        (lambda environ: False, 403, "this connection is not allowed\n", {}),
        (lambda environ: (402, "first pay"), 402, "first pay\n", {}),
        (lambda environ: (499, "odd"), 499, "odd\n", {}),
        (
            lambda environ: Response("<p>", 401, {"WWW-Authenticate": "Basic"}, content_type="text/html"),
            401,
            "<p>",
            {"WWW-Authenticate": "Basic", "Content-Type": "text/html"},
        ),
        (deny_all, 401, "who are you?", {}),
        (django_forbidden, 403, "no entry", {"X-Why": "rules", "Set-Cookie": "seen=1; Path=/"}),
        (refuse_with_error, 403, "the house is closed on Sundays\n", {"Retry-After": "86400"}),
    ],
)
def test_what_authorize_returns_is_the_rejection(
    authorize: Any, status: int, text: str, headers: dict[str, str]
) -> None:
    response = ask(WebSocketMiddleware(site, {"/ws": Route(EchoWebSocket, authorize=authorize)}))
    assert response.status_int == status
    assert text in response.text
    assert response.headers["Connection"] == "close"
    for name, value in headers.items():
        assert response.headers[name] == value


@pytest.mark.parametrize("allowed", [None, True])
def test_authorize_that_allows_goes_on(allowed: bool | None) -> None:
    assert (
        ask(WebSocketMiddleware(site, {"/ws": EchoWebSocket}, authorize=lambda e: allowed)).status_int == 501
    )


@pytest.mark.parametrize("nonsense", [0, "", "no", (200, "fine"), (101, "go"), ("403", "x"), 403])
def test_authorize_that_returns_nonsense_is_a_bug_that_is_not_hidden(nonsense: Any) -> None:
    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket}, authorize=lambda environ: nonsense)
    with pytest.raises(TypeError, match=r"authorize returned .*; it returns None or True"):
        ask(app)


def test_authorize_is_asked_with_environ_and_params_once_the_handshake_is_right() -> None:
    asked: list[Any] = []

    def authorize(environ: Any, **params: Any) -> bool:
        asked.append((environ["PATH_INFO"], params))
        return False

    app = WebSocketMiddleware(site, {"/<room>/<int:n>": EchoWebSocket}, authorize=authorize)
    assert ask(app, "/lobby/3", HTTP_SEC_WEBSOCKET_KEY="bad").status_int == 400
    assert asked == []
    assert ask(app, "/lobby/3").status_int == 403
    assert asked == [("/lobby/3", {"room": "lobby", "n": 3})]


make_any: Any = WebSocketMiddleware  # for arguments that no type checker lets through


# --- settings --------------------------------------------------------------------------------------


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


# --- the hand-over --------------------------------------------------------------------------------


class Parrot(WebSocket):
    """Knows what it was made with."""

    made: ClassVar[list[Parrot]] = []

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.made.append(self)

    def received_message(self, message: Any) -> None:
        self.send(f"{message} {dict(self.params)}")


def exchange(client: socket.socket, text: bytes) -> bytes:
    """Send a masked text frame (the mask is zero), and read the text frame that comes back."""
    client.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    head = client.recv(2, socket.MSG_WAITALL)
    return client.recv(head[1], socket.MSG_WAITALL)


def test_handler_is_made_with_what_was_agreed_and_runs() -> None:
    manager = WebSocketManager()
    manager.start()
    try:
        app = WebSocketMiddleware(site, {"/<room>": Parrot}, manager=manager, subprotocols=["chat"])
        with PIPES.plugged(app) as plugged:
            response = ask(plugged, "/hall", HTTP_SEC_WEBSOCKET_PROTOCOL="x, chat", HTTP_X_A="1")
            assert response.status_int == 101
            head = plugged.read_head()
            assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            assert b"\r\nSec-WebSocket-Protocol: chat\r\n" in head
            assert exchange(plugged.client, b"hello") == b"hello {'room': 'hall'}"
            parrot = Parrot.made.pop()
            assert parrot in manager
            assert (parrot.protocols, parrot.subprotocol, parrot.extensions) == (["chat"], "chat", [])
            environ = parrot.environ or {}
            assert environ["HTTP_X_A"] == "1"
            assert environ["wsgi.input"].read() == b"", "the server's own is not kept alive"
    finally:
        manager.stop()


def test_constructor_that_raises_is_heard_before_anything_is_taken() -> None:
    class Broken(WebSocket):
        def __init__(self, *args: Any, **options: Any) -> None:
            raise ZeroDivisionError

    with PIPES.plugged(WebSocketMiddleware(site, {"/ws": Broken})) as plugged:
        with pytest.raises(ZeroDivisionError):
            ask(plugged)
        plugged.server.sendall(b"still the server's own")


def test_constructor_may_refuse() -> None:
    class Picky(WebSocket):
        def __init__(self, *args: Any, **options: Any) -> None:
            raise HandshakeError("not today", 403)

    with PIPES.plugged(WebSocketMiddleware(site, {"/ws": Picky})) as plugged:
        response = ask(plugged)
    assert (response.status_int, response.text) == (403, "not today\n")


def test_client_that_left_in_between_harms_nobody() -> None:
    manager = WebSocketManager()
    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket}, manager=manager)
    with PIPES.plugged(app) as plugged:
        plugged.client.close()
        assert ask(plugged).status_int == 101, "for the access log"
        assert plugged.server.recv(1) == b"", "the dummy has ended, too"
    assert len(manager) == 0


def test_manager_that_fails_leaves_no_half_open_connection() -> None:
    class Failing(WebSocketManager):
        def attach(self, *args: Any, **options: Any) -> None:
            raise ZeroDivisionError

    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket}, manager=Failing())
    with PIPES.plugged(app) as plugged:
        with pytest.raises(ZeroDivisionError):
            ask(plugged)
        with contextlib.suppress(ConnectionResetError):
            plugged.read_head()
            assert plugged.client.recv(1) == b""


def test_header_of_a_view_that_may_not_be_sent_is_its_own_500() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        upgrade(EchoWebSocket)
        start_response("101 Switching Protocols", [("X-A", "1\r\nX-B: 2")])
        return []

    with PIPES.plugged(WebSocketMiddleware(app)) as plugged:
        with pytest.raises(ValueError, match="has a CR, LF or NUL"):
            call(plugged, {"PATH_INFO": "/", "REQUEST_METHOD": "GET", **HANDSHAKE})
        plugged.server.sendall(b"still the server's own")


# --- views ------------------------------------------------------------------------------------------


def test_hidden_upgrade_leaves_everything_else() -> None:
    environ = {**HANDSHAKE, "PATH_INFO": "/x"}
    hidden = _hide_upgrade(environ)
    assert hidden["HTTP_CONNECTION"] == "keep-alive"
    assert set(environ) - set(hidden) == {"HTTP_UPGRADE"}
    assert _hide_upgrade({"HTTP_CONNECTION": " UPGRADE "}) == {}
    assert environ["HTTP_UPGRADE"] == "websocket"


def test_upgrade_on_no_route_is_shown_as_a_plain_get_and_then_as_it_came() -> None:
    seen: list[tuple[Any, Any]] = []
    bodies: list[Recorded] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.append((environ.get("HTTP_UPGRADE"), environ.get("HTTP_CONNECTION")))
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        bodies.append(Recorded([b"%d" % len(seen)]))
        return bodies[-1]

    response = ask(WebSocketMiddleware(app))
    assert seen == [(None, "keep-alive"), ("websocket", "keep-alive, Upgrade")]
    assert (response.status_int, response.text) == (404, "1"), "the application's own word"
    assert [body.closed for body in bodies] == [1, 1]
    assert response.headers["Connection"] == "close"


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "401 Unauthorized", "403 Forbidden", "500 Oops"])
def test_upgrade_that_the_application_answers_is_asked_once(status: str) -> None:
    calls: list[Any] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        calls.append(environ)
        start_response(status, [("Content-Type", "text/plain"), ("X-A", "1")])
        yield b"one"
        yield b"two"

    response = ask(WebSocketMiddleware(app))
    assert (response.status, response.text, len(calls)) == (status, "onetwo", 1)
    assert (response.headers["X-A"], response.headers["Connection"]) == ("1", "close")


def test_answer_by_write_and_by_pieces_keeps_its_order() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"a")
        yield b"b"
        yield b"c"

    assert ask(WebSocketMiddleware(app)).text == "abc"


def test_application_that_fails_half_way_says_so_to_the_server() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b""
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Internal Server Error", [("X-A", "1")], sys.exc_info())
        yield b"broken"

    status, headers, body = call(WebSocketMiddleware(app), {"PATH_INFO": "/", **HANDSHAKE})
    assert (status, body) == ("500 Internal Server Error", b"broken")
    assert ("Connection", "close") in headers


def test_application_that_raises_is_closed_and_heard() -> None:
    body = Recorded([])

    body.pieces = (bytes(1 // zero) for zero in [0])
    with pytest.raises(ZeroDivisionError):
        call(WebSocketMiddleware(lambda environ, start_response: body), {"PATH_INFO": "/", **HANDSHAKE})
    assert body.closed == 1


def test_application_with_its_own_101_is_let_through() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if "HTTP_UPGRADE" not in environ:
            start_response("404 Not Found", [])
            return []
        start_response("101 Switching Protocols", [("X-Own", "1")])
        return [b""]

    answer = call(WebSocketMiddleware(app), {"PATH_INFO": "/", **HANDSHAKE})
    assert answer == ("101 Switching Protocols", [("X-Own", "1")], b"")


def test_application_that_never_starts_is_let_through() -> None:
    started: list[Any] = []
    app = WebSocketMiddleware(lambda environ, start_response: [])
    assert list(app({"PATH_INFO": "/", **HANDSHAKE}, started.append)) == []
    assert started == []


def test_middleware_within_middleware_finds_its_own_routes() -> None:
    inner = WebSocketMiddleware(site, {"/inner": Route(EchoWebSocket, authorize=lambda e: (410, "inner"))})
    outer = WebSocketMiddleware(inner, {"/outer": Route(EchoWebSocket, authorize=lambda e: (409, "outer"))})
    assert [ask(outer, path).status_int for path in ("/inner", "/outer", "/none")] == [410, 409, 404]


# --- servers that keep to the letter -------------------------------------------------------------------


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
    environ = {"PATH_INFO": "/ws", "REQUEST_METHOD": "GET", **HANDSHAKE, "HTTP_SEC_WEBSOCKET_VERSION": "7"}
    body = b"".join(app({**environ, **extra}, strict))
    status, headers = started[-1]
    assert status == "426 Upgrade Required"
    assert dict(headers)["Sec-WebSocket-Version"] == "13"
    assert b"version 7" in body
