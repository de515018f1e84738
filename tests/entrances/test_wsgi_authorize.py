"""The middleware in process: who may connect, and how the others are told."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.exceptions import abort
from werkzeug.wrappers import Response

from tests.entrances.in_process import ask, site
from ws4py_middleware import EchoWebSocket, Route, WebSocketMiddleware
from ws4py_middleware.exc import HandshakeError


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
