"""What ``routes`` and ``doctor`` find in an application object."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import cherrypy
import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from ws4py_middleware import EchoWebSocket, Route, WebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.cli.mounted import MountedRoute, fill_in, find_routes, is_asgi
from ws4py_middleware.config.flask import WebSockets
from ws4py_middleware.server.cherrypyserver import WebSocketTool


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def chat(ws: WebSocket, room: str) -> None:
    for message in ws:
        ws.send(message)


def paths(app: object) -> list[str]:
    return [route.path for route in find_routes(app)]


def test_find_routes_of_the_middleware_says_handler_policy_and_a_path_that_leads_there() -> None:
    routes: dict[str, Any] = {"/echo": EchoWebSocket, "/chat/<room>": Route(chat, max_message_size=7)}
    found = find_routes(WebSocketMiddleware(site, routes, ping_interval=5))
    assert [(each.path, each.handler_name, each.sample, each.parameters) for each in found] == [
        ("/echo", "ws4py_middleware.websocket:EchoWebSocket", "/echo", ()),
        ("/chat/<room>", f"{__name__}:chat", "/chat/x", ("room",)),
    ]
    assert [each.policy.max_message_size for each in found] == [2**20, 7]
    assert {(each.policy.ping_interval, each.source, each.behind) for each in found} == {
        (5, "WebSocketMiddleware", ())
    }


def test_find_routes_in_a_context_keeps_the_handlers_name() -> None:
    app = flask.Flask("shop")
    app.config["WEBSOCKETS"] = {"/chat/<room>": chat, "/echo": EchoWebSocket}
    WebSockets(app)
    found = find_routes(app)
    names = [f"{__name__}:chat", "ws4py_middleware.websocket:EchoWebSocket"]
    assert [each.handler_name for each in found] == names
    assert {each.behind for each in found} == {("Flask",)}


def closure(app: Any) -> Any:
    def call(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return call


def test_find_routes_behind_other_middleware_says_which() -> None:
    middleware = WebSocketMiddleware(site, {"/echo": EchoWebSocket})
    assert [each.behind for each in find_routes(ProxyFix(closure(middleware)))] == [("ProxyFix", "closure")]
    assert paths(functools.partial(middleware)) == ["/echo"]
    assert paths(middleware.__call__) == ["/echo"]


def test_find_routes_of_what_is_mounted_has_the_prefix() -> None:
    inner = WebSocketMiddleware(site, {"/<int:number>": EchoWebSocket})
    app = DispatcherMiddleware(site, {"/shop": inner})
    assert [(each.path, each.sample) for each in find_routes(app)] == [("/shop/<int:number>", "/shop/1")]
    assert paths(DispatcherMiddleware(site, {"/a": inner, "/b": inner})) == [
        "/a/<int:number>",
        "/b/<int:number>",
    ]


def test_find_routes_of_starlette_and_fastapi() -> None:
    mounted = Starlette(routes=[Mount("/live", app=WebSocketASGI(None, {"/echo": EchoWebSocket}))])
    assert paths(mounted) == ["/live/echo"]
    entrance: Any = WebSocketASGI
    added = Starlette(middleware=[Middleware(entrance, routes={"/echo": EchoWebSocket})])
    assert paths(added) == ["/echo"]
    assert paths(WebSocketASGI(FastAPI(), {"/a": EchoWebSocket})) == ["/a"]


def test_find_routes_of_one_middleware_in_another_and_in_a_circle() -> None:
    inner = WebSocketMiddleware(site, {"/b": EchoWebSocket})
    outer = WebSocketMiddleware(inner, {"/a": EchoWebSocket})
    inner.app = outer
    assert paths(outer) == ["/a", "/b"]


class Page:
    @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
    @cherrypy.tools.json_out()  # type: ignore[untyped-decorator, unused-ignore]
    def index(self) -> str:
        return "hello"

    @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
    def ws(self) -> None: ...


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool, and afterwards what was there before: examples bring one of their own."""
    monkeypatch.setattr(cherrypy.tools, "websocket", WebSocketTool(), raising=False)


@pytest.mark.usefixtures("tool")
def test_find_routes_of_cherrypy_by_config_by_decorator_and_below_a_section() -> None:
    class Root(Page):
        live = Page()

        @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
        @cherrypy.tools.websocket(handler_cls=EchoWebSocket)  # type: ignore[untyped-decorator, unused-ignore]
        def decorated(self, room: str, number: str = "7") -> None: ...

    config = {
        "/": {"tools.websocket.max_message_size": 99},
        "/ws": {"tools.websocket.on": True, "tools.websocket.handler_cls": EchoWebSocket},
        "/live/ws": {"tools.websocket.on": True, "tools.websocket.max_message_size": "1 KiB"},
    }
    tree = cherrypy._cptree.Tree()
    tree.mount(Root(), "/shop", config)
    found = [(each.path, each.handler.__name__, each.policy.max_message_size) for each in find_routes(tree)]
    assert found == [
        ("/shop/decorated", "EchoWebSocket", 99),
        ("/shop/live/ws", "WebSocket", 1024),
        ("/shop/ws", "EchoWebSocket", 99),
    ]
    assert {each.source for each in find_routes(tree)} == {"CherryPy"}
    [decorated, *_] = find_routes(tree.apps["/shop"])
    assert (decorated.path, decorated.sample) == ("/decorated", "/decorated/x")


def test_find_routes_of_anything_else_is_none() -> None:
    assert find_routes(site) == find_routes(object()) == find_routes(None) == []
    assert find_routes(flask.Flask("none")) == []


@pytest.mark.parametrize(
    ("path", "filled"),
    [
        ("/a", "/a"),
        ("/<string(length=2):code>/<string(minlength=3):name>", "/xx/xxx"),
        ("/<int(fixed_digits=4):year>", "/0001"),
        ("/<float:price>/<uuid:id>", "/1.0/00000000-0000-4000-8000-000000000000"),
        ("/<path:name>", "/x"),
    ],
)
def test_fill_in_gives_a_path_that_the_route_matches(path: str, filled: str) -> None:
    assert fill_in(path) == filled
    [route] = find_routes(WebSocketMiddleware(site, {path: EchoWebSocket}))
    assert route.sample == filled


def test_is_asgi_by_what_is_called() -> None:
    assert [is_asgi(app) for app in (FastAPI(), WebSocketASGI(), site, flask.Flask("x"))] == [
        True,
        True,
        False,
        False,
    ]


def test_mounted_route_is_a_value() -> None:
    one, other = find_routes(WebSocketMiddleware(site, {"/a": EchoWebSocket, "/b": EchoWebSocket}))
    assert one != other
    assert isinstance(one, MountedRoute)
