"""The middleware in process: what the application behind it is shown, and how its answer passes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.entrances.in_process import ENVIRON, Recorded, ask, call, site
from ws4py_middleware import EchoWebSocket, Route, WebSocketMiddleware
from ws4py_middleware.wsgi import _hide_upgrade

# --- plain requests ---------------------------------------------------------------------------------


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


# --- upgrades on no route ---------------------------------------------------------------------------


def test_hidden_upgrade_leaves_everything_else() -> None:
    environ = {**ENVIRON, "PATH_INFO": "/x"}
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

    status, headers, body = call(WebSocketMiddleware(app), {"PATH_INFO": "/", **ENVIRON})
    assert (status, body) == ("500 Internal Server Error", b"broken")
    assert ("Connection", "close") in headers


def test_application_that_raises_is_closed_and_heard() -> None:
    body = Recorded([])

    body.pieces = (bytes(1 // zero) for zero in [0])
    with pytest.raises(ZeroDivisionError):
        call(WebSocketMiddleware(lambda environ, start_response: body), {"PATH_INFO": "/", **ENVIRON})
    assert body.closed == 1


def test_application_with_its_own_101_is_let_through() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if "HTTP_UPGRADE" not in environ:
            start_response("404 Not Found", [])
            return []
        start_response("101 Switching Protocols", [("X-Own", "1")])
        return [b""]

    answer = call(WebSocketMiddleware(app), {"PATH_INFO": "/", **ENVIRON})
    assert answer == ("101 Switching Protocols", [("X-Own", "1")], b"")


def test_application_that_never_starts_is_let_through() -> None:
    started: list[Any] = []
    app = WebSocketMiddleware(lambda environ, start_response: [])
    assert list(app({"PATH_INFO": "/", **ENVIRON}, started.append)) == []
    assert started == []


def test_middleware_within_middleware_finds_its_own_routes() -> None:
    inner = WebSocketMiddleware(site, {"/inner": Route(EchoWebSocket, authorize=lambda e: (410, "inner"))})
    outer = WebSocketMiddleware(inner, {"/outer": Route(EchoWebSocket, authorize=lambda e: (409, "outer"))})
    assert [ask(outer, path).status_int for path in ("/inner", "/outer", "/none")] == [410, 409, 404]
