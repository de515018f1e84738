"""Limits and admission in the WSGI middleware, without a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.entrances.in_process import ask, site
from ws4py_middleware import EchoWebSocket, Policy, Rate, Route, WebSocket, WebSocketMiddleware, admission
from ws4py_middleware.routing import merge_policy


@pytest.fixture(autouse=True)
def new_books() -> Iterator[None]:
    admission.disown()
    yield
    admission.disown()


def test_rate_is_asked_before_the_application_and_what_is_no_handshake_does_not_count() -> None:
    asked = []

    def authorize(environ: Any) -> bool:
        asked.append(environ["REMOTE_ADDR"])
        return False

    routes = {"/ws": EchoWebSocket}
    app = WebSocketMiddleware(site, routes, authorize=authorize, handshake_rate=Rate(2, per=3600))
    client = {"REMOTE_ADDR": "203.0.113.1"}
    for _ in range(3):
        assert ask(app, HTTP_SEC_WEBSOCKET_VERSION="8", **client).status_int == 426
    for _ in range(2):
        assert ask(app, **client).status_int == 403
    refused = ask(app, HTTP_X_FORWARDED_FOR="203.0.113.2", **client)
    assert refused.status_int == 429
    assert refused.headers["Retry-After"] == "1800"
    assert refused.headers["Connection"] == "close"
    assert refused.text == "there were too many connections from 203.0.113.1; try again later\n"
    assert asked == ["203.0.113.1"] * 2


@pytest.mark.parametrize("takes", [False, True])
def test_routes_and_views_have_their_hook_called_in_their_context(takes: bool) -> None:
    inside: list[int] = []

    @contextlib.contextmanager
    def context() -> Iterator[None]:
        inside.append(1)
        yield
        inside.pop()

    def allow(ws: WebSocket) -> bool:
        return bool(inside)

    route = Route(EchoWebSocket, reauthorize=allow)
    policy = merge_policy(Policy(max_lifetime=60.0), route, context if takes else None)
    assert policy.max_lifetime == 60.0
    assert policy.reauthorize is not None
    assert policy.reauthorize(WebSocket()) is takes
    with pytest.raises(ValueError, match="there is no connection_key"):
        merge_policy(Policy(max_connections_per_key=1), route, None)
