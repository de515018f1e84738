"""What the pages of the frameworks say of things that usually go wrong: they do, and in these words."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask, Response, current_app
from starlette.applications import Starlette

from tests.docs.pages import read_page
from ws4py_middleware import EchoWebSocket, Route, WebSocket, WebSocketASGI, WebSocketMiddleware, upgrade
from ws4py_middleware.handover.adapter import OUTERMOST
from ws4py_middleware.testing import ConnectionEnded, HandshakeRefused, WebSocketTestClient

PAGES = {name: read_page(f"howto/{name}") for name in ("flask", "django", "starlette-and-fastapi")}


class Name(WebSocket):
    def opened(self) -> None:
        self.send(current_app.name)


def make_flask(*, has_context: bool = False, **options: Any) -> Flask:
    app = Flask("shop")
    if has_context:
        options["context"] = app.app_context

    @app.get("/view")
    def view() -> Any:
        return upgrade(EchoWebSocket)

    wrapped = WebSocketMiddleware(app.wsgi_app, {"/name": Name, "/echo": EchoWebSocket}, **options)
    app.wsgi_app = wrapped  # type: ignore[method-assign]
    return app


def refusal(app: Any, path: str, **options: Any) -> HandshakeRefused:
    with WebSocketTestClient(app) as client, pytest.raises(HandshakeRefused) as refused:
        client.connect(path, **options)
    return refused.value


def test_hook_has_no_context_of_flask_unless_it_is_given_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), WebSocketTestClient(make_flask()) as client:
        with pytest.raises(ConnectionEnded):
            client.connect("/name").receive()
    assert "`RuntimeError: Working outside of application context`" in PAGES["flask"]
    assert "RuntimeError: Working outside of application context" in caplog.text
    with WebSocketTestClient(make_flask(has_context=True)) as client, client.connect("/name") as ws:
        assert ws.receive() == "shop"


def test_page_of_another_origin_is_refused_unless_it_is_named() -> None:
    other = "https://example.com"
    refused = refusal(make_flask(), "/echo", origin=other)
    assert refused.response.status == 403
    words = refused.response.text.replace(f"'{other}'", "…").strip()
    for page in ("flask", "django"):
        assert words in PAGES[page]
    with WebSocketTestClient(make_flask(origins=[other])) as client:
        client.connect("/echo", origin=other)


def test_host_that_is_not_served_is_a_421() -> None:
    assert refusal(make_flask(hosts=["example.com"]), "/echo").response.status == 421
    assert "| 421 for everybody | `ALLOWED_HOSTS`" in PAGES["django"]


def test_hook_that_replaces_the_101_of_a_view_refuses_it() -> None:
    app = make_flask()

    @app.after_request
    def replace(response: Any) -> Any:
        return Response("something else") if response.status_code == 101 else response

    assert refusal(app, "/view").response.status == 200


def test_middleware_around_ours_that_replaces_the_input_is_named() -> None:
    assert "wsgi.input" in OUTERMOST
    assert "501 that speaks of `wsgi.input`" in PAGES["flask"]


def test_session_is_not_there_around_the_application() -> None:
    app = WebSocketASGI(Starlette(), {"/echo": Route(EchoWebSocket, authorize=has_session)})
    with WebSocketTestClient(app) as client, pytest.raises(KeyError, match="session"):
        client.connect("/echo")
    assert "`KeyError: 'session'`" in PAGES["starlette-and-fastapi"]


def has_session(scope: Any) -> bool:
    return bool(scope["session"])
