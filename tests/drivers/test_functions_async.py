"""Handlers that are async: how they are told from others, and where they are refused."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import ws4py_middleware
from ws4py_middleware import EchoWebSocket, Route, WebSocketMiddleware
from ws4py_middleware.async_websocket import AsyncWebSocket, WebSocket
from ws4py_middleware.async_websocket import EchoWebSocket as AsyncEchoWebSocket
from ws4py_middleware.contexts import is_async
from ws4py_middleware.functions import AsyncFunctionHandler, FunctionHandler, handler_class


async def push(ws: Any, **params: Any) -> None: ...


def pull(ws: Any, **params: Any) -> None: ...


class Called:
    async def __call__(self, ws: Any, **params: Any) -> None: ...


class Forgetful(EchoWebSocket):
    async def closed(self, code: int, reason: str | None = None) -> None: ...


def application(environ: Any, start_response: Any) -> list[bytes]:
    raise AssertionError("nobody asks it here")


def test_front_door_has_the_async_class() -> None:
    assert ws4py_middleware.AsyncWebSocket is AsyncWebSocket is WebSocket


@pytest.mark.parametrize("handler", [push, functools.partial(push, x=1), Called(), AsyncEchoWebSocket])
def test_async_handlers_are_known_as_such(handler: Any) -> None:
    assert is_async(handler)
    cls = handler_class(handler)
    assert is_async(cls)
    assert issubclass(cls, AsyncFunctionHandler) == (handler is not AsyncEchoWebSocket)


def test_other_handlers_are_not() -> None:
    assert not is_async(pull)
    assert not is_async(EchoWebSocket)
    assert issubclass(handler_class(pull), FunctionHandler)


@pytest.mark.parametrize(
    ("handler", "name"), [(push, "push"), (AsyncEchoWebSocket, "EchoWebSocket"), (Route(push), "push")]
)
def test_wsgi_refuses_async_handlers_when_the_routes_are_made(handler: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"the handler {name} is async, .* use WebSocketASGI"):
        WebSocketMiddleware(application, {"/": handler})


def test_class_with_an_async_hook_that_nobody_would_await_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"Forgetful.closed is async def, .* class Forgetful\(AsyncWebSocket\)"
    ):
        WebSocketMiddleware(application, {"/": Forgetful})
