"""Lifetimes in the manager of threads, and with a context around the hook."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.drivers.contract_lifetime import LIFETIME, LifetimeContract, Limited
from tests.drivers.threads import ThreadHost, host
from ws4py_middleware.async_websocket import AsyncWebSocket
from ws4py_middleware.contexts import in_context
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.functions import handler_class
from ws4py_middleware.routing import Route, Router
from ws4py_middleware.websocket import WebSocket

__all__ = ["host"]


class TestLifetimes(LifetimeContract):
    pass


@contextlib.contextmanager
def context() -> Iterator[None]:
    inside.append(1)
    try:
        yield
    finally:
        inside.pop()


inside: list[int] = []


def test_hook_is_called_in_the_context_of_callbacks(host: ThreadHost) -> None:
    found = []

    class Asking(Limited):
        def reauthorize(self) -> bool:
            found.append(list(inside))
            return False

    websocket = in_context(Asking, context)()
    with host.connect(websocket, max_lifetime=LIFETIME) as peer:
        assert peer.answer()[0] == 1008
    assert found == [[1]]
    assert inside == []


def test_function_of_a_policy_is_called_in_the_context_of_its_route() -> None:
    def allow(ws: WebSocket) -> bool:
        return bool(inside)

    route = Route(WebSocket, max_lifetime=1.0, reauthorize=allow)
    match = Router({"/": route}, Policy(), context=context).match("/")
    assert match is not None
    assert match.policy.reauthorize is not None
    assert match.policy.reauthorize(WebSocket())
    assert not inside


def test_hook_that_nobody_would_await_is_refused_before(
    host: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong(WebSocket):
        async def reauthorize(self) -> bool:
            return True

    with pytest.raises(TypeError, match=r"Wrong.reauthorize is async def, which needs .*AsyncWebSocket"):
        handler_class(Wrong)
    assert handler_class(type("Right", (AsyncWebSocket,), {"reauthorize": Wrong.reauthorize}))

    async def allow(ws: WebSocket) -> bool:
        return True

    with host.connect(WebSocket(), max_lifetime=LIFETIME, reauthorize=allow) as peer:
        assert peer.answer() == (1011, "internal error")
    assert "reauthorize is async, which an AsyncWebSocket can have" in caplog.text


def test_route_with_a_limit_for_each_key_and_no_key_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match=r"routes\['/'\]: max_connections_per_key is 2, and there is no"):
        Router({"/": Route(WebSocket, max_connections_per_key=2)}, Policy())
    Router({"/": Route(WebSocket, connection_key=len)}, Policy(max_connections_per_key=2))
