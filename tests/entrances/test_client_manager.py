"""Clients in the hands of a WebSocketManager, as ws4py's documentation has it: 2,000 against one server."""

from __future__ import annotations

import logging
import resource
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.peer import wait_until
from tests.entrances.scripted import Visit, no_leaks, scripted, text
from tests.servers import client_context, start
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import Message


@pytest.fixture
def manager() -> Iterator[WebSocketManager]:
    with no_leaks():
        manager = WebSocketManager()
        manager.daemon = True
        manager.start()
        yield manager
        manager.stop()


def make_class(manager: WebSocketManager) -> type[WebSocketBaseClient]:
    class EchoClient(WebSocketBaseClient):
        seen: list[tuple[Any, ...]]

        def handshake_ok(self) -> None:
            self.seen = []
            manager.add(self)

        def opened(self) -> None:
            self.seen.append(("opened",))
            self.send("hello")

        def received_message(self, message: Message) -> None:
            self.seen.append((str(message), threading.current_thread().name))

        def closed(self, code: int, reason: str | None = None) -> None:
            self.seen.append(("closed", code))

    return EchoClient


@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_is_added_in_handshake_ok_runs_in_the_managers_thread(
    manager: WebSocketManager, tls: bool
) -> None:
    with start("werkzeug", "examples.echo.app:app", tls=tls) as server:
        client: Any = make_class(manager)(f"{server.ws_url}/echo", ssl_options=client_context())
        for _ in range(2):
            client.connect()
            assert client in manager
            wait_until(lambda: len(client.seen) == 2)
            client.close(1000, "done")
            client.run()  # waits only: the manager does it
            wait_until(lambda: len(manager) == 0)
            assert client.seen == [("opened",), ("hello", "WebSocketManager"), ("closed", 1000)]
            assert client.terminated


def test_the_frames_behind_the_101_are_delivered_by_the_manager(manager: WebSocketManager) -> None:
    messages = [f"message {number}" for number in range(1000)]

    def script(visit: Visit) -> None:
        visit.accept(b"".join(map(text, messages)))
        visit.answer_close()

    with scripted(script) as server:
        client: Any = make_class(manager)(server.url)
        client.connect()
        wait_until(lambda: len(client.seen) == 1001)
        assert [event[0] for event in client.seen[1:]] == messages
        manager.close_all()
        client.run()


def test_receive_works_beside_a_manager_and_once_does_not(manager: WebSocketManager) -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        visit.echo()

    with scripted(script) as server:
        client = WebSocketBaseClient(server.url)
        client.connect()
        manager.add(client)
        client.send("x")
        assert str(client.receive(5)) == "x"
        with pytest.raises(RuntimeError, match="in the hands of a manager"):
            client.once()
        with client:
            client.send("y")
        assert client.terminated


def test_a_handshake_that_fails_leaves_nothing_in_the_manager(manager: WebSocketManager) -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n")

    with scripted(script) as server:
        with pytest.raises(HandshakeError, match="503 Busy"):
            make_class(manager)(server.url).connect()
    assert len(manager) == 0


@pytest.mark.capacity
def test_two_thousand_clients_under_one_manager(
    manager: WebSocketManager, caplog: pytest.LogCaptureFixture
) -> None:
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= 4096, "the machine allows too few descriptors"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(8192, hard)), hard))
    make = make_class(manager)
    try:
        with start("gunicorn-gthread", "examples.echo.app:app") as server:
            clients: list[Any] = []
            began = time.monotonic()
            for _ in range(count):
                client = make(f"{server.ws_url}/echo")
                client.connect()
                clients.append(client)
            took = time.monotonic() - began
            logging.getLogger("tests").info("%d clients connected, %.0f a second", count, count / took)
            assert len(manager) == count
            wait_until(lambda: all(len(client.seen) == 2 for client in clients), 30)
            assert manager.broadcast("to all") == count
            wait_until(lambda: all(len(client.seen) == 3 for client in clients), 30)
            manager.close_all(1000, "done")
            wait_until(lambda: len(manager) == 0, 30)
            assert all(client.seen[-1] == ("closed", 1000) for client in clients)
            assert "Traceback" not in server.log
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not [record for record in caplog.records if record.name.startswith("ws4py")]
