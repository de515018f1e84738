"""
Fixtures for pytest, which finds them by itself where this package is installed.

::

    def test_chat(websocket_client):
        client = websocket_client(app)
        with client.connect("/chat/blue") as ws:
            ws.send("hi")
            assert ws.receive() == "hi"

==========================  =======================================================================
fixture                     what it is
==========================  =======================================================================
``websocket_client(app)``   a :class:`~ws4py_middleware.testing.WebSocketTestClient`, closed at the end
``live_server("mod:app")``  a gunicorn and a client of it, stopped at the end of the session
``fake_clock``              the clock of all clients of the test
==========================  =======================================================================

Nothing is imported before a test asks for one of them. A test that fails shows what has passed on each of its
connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .client import Client, WebSocketTestClient
    from .clocks import VirtualClock
    from .live import LiveServer

__all__ = ["fake_clock", "live_server", "websocket_client"]

_clients: pytest.StashKey[list[Client]] = pytest.StashKey()


@pytest.fixture
def fake_clock() -> VirtualClock:
    """
    The clock of all in-memory clients of the test; it stands still until the test moves it.

    ::

        def test_idle(websocket_client, fake_clock):
            ws = websocket_client(app).connect("/ws")
            fake_clock.advance(60)
            ws.expect_close(1000)
    """
    from .clocks import VirtualClock

    return VirtualClock()


@pytest.fixture
def websocket_client(
    request: pytest.FixtureRequest, fake_clock: VirtualClock
) -> Iterator[Callable[..., WebSocketTestClient]]:
    """Make clients of applications in memory: ``websocket_client(app)``; all are closed at the end."""
    from .client import WebSocketTestClient

    made: list[WebSocketTestClient] = []

    def make(app: Any, **options: Any) -> WebSocketTestClient:
        client = WebSocketTestClient(app, **{"clock": fake_clock, **options})
        made.append(client)
        request.node.stash.setdefault(_clients, []).append(client)
        return client

    yield make
    for client in reversed(made):
        client.close()


@pytest.fixture(scope="session")
def _live_servers() -> Iterator[dict[Any, LiveServer]]:
    servers: dict[Any, LiveServer] = {}
    yield servers
    for server in servers.values():
        server.server.terminate()  # all at once: each takes its time
    for server in servers.values():
        server.close()


@pytest.fixture
def live_server(
    request: pytest.FixtureRequest, _live_servers: dict[Any, LiveServer]
) -> Iterator[Callable[..., LiveServer]]:
    """
    Start a stock gunicorn: ``live_server("myapp:app", worker="sync")``; it has the same ``connect()``.

    One that was started with the same words is used again; all are stopped at the end of the session.
    """
    from .live import LiveServer

    used: list[LiveServer] = []

    def start(app: str, **options: Any) -> LiveServer:
        key = (app, repr(sorted(options.items())))
        server = _live_servers.get(key)
        if server is None:
            server = _live_servers[key] = LiveServer(app, **options)
        used.append(server)
        request.node.stash.setdefault(_clients, []).append(server)
        return server

    yield start
    for server in used:
        server.forget()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show what has passed on the connections of a test that fails."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    for client in item.stash.get(_clients, []):
        for session in client.sessions:
            report.sections.append((f"WebSocket {session.path}", f"{session.transcript}\n({session!r})"))
