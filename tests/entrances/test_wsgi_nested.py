"""A middleware around another: the routes of both are there, whatever else is on their paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from ws4py_middleware import EchoWebSocket, Route, WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message
from ws4py_middleware.testing import HandshakeRefused, WebSocketTestClient


class Named(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(f"{self.params['name']}: {message}")


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer everything with a page, the paths of WebSockets, too."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"a page"]


@pytest.fixture
def client() -> Iterable[WebSocketTestClient]:
    routes: dict[str, type[WebSocket] | Route] = {
        "/named/<name>": Named,
        "/closed": Route(EchoWebSocket, authorize=lambda environ: False),
    }
    inner = WebSocketMiddleware(page, routes)
    app = WebSocketMiddleware(DispatcherMiddleware(inner, {"/below": inner}), {"/echo": EchoWebSocket})
    with WebSocketTestClient(app) as client:
        yield client


def test_routes_of_both_are_there(client: WebSocketTestClient) -> None:
    for path, answer in (("/echo", "hi"), ("/named/Ann", "Ann: hi"), ("/below/named/Eve", "Eve: hi")):
        with client.connect(path) as ws:
            ws.send("hi")
            assert ws.receive() == answer


def test_pages_of_the_same_path_stay_pages(client: WebSocketTestClient) -> None:
    assert client.get("/named/Ann").text == "a page"


def test_inner_route_decides_who_comes_in(client: WebSocketTestClient) -> None:
    with pytest.raises(HandshakeRefused) as refused, client.connect("/closed"):
        pass
    assert refused.value.status == 403
