"""Replay on real servers: with threads, greenlets, CherryPy's and asyncio, as foreign clients see it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.drivers.redisserver import redis_server
from tests.entrances.test_rooms import SERVERS
from tests.servers import Server, start
from tests.servers.live import child_pids
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.replay import SUBPROTOCOL

APP = "tests.entrances.replay_kinds_app:"
MARK = "\x1e"


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind = request.param
    with start(kind, APP + SERVERS[kind], directory=tmp_path_factory.mktemp(kind)) as server:
        yield server
        assert "Traceback" not in server.log, server.log


class Visitor:
    """A foreign client that speaks the protocol by hand."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    def resume(self, **ids: str) -> None:
        self.socket.send(MARK + json.dumps({"resume": ids}))

    def hear(self) -> Any:
        """Return what is said by the protocol; anything else as it is."""
        text = self.socket.recv(timeout=10)
        return json.loads(text[1:]) if text[0] == MARK and text[1] != MARK else text

    def hear_message(self) -> str:
        """Return the next message of the lobby."""
        while "data" not in (said := self.hear()) or said["room"] != "lobby":
            pass
        return str(said["data"])


@contextlib.contextmanager
def visit(server: Server, path: str) -> Iterator[Visitor]:
    protocols = [Subprotocol("chat"), Subprotocol(SUBPROTOCOL)]
    with connect(server.ws_url + path, subprotocols=protocols, compression=None) as socket:
        assert socket.subprotocol == SUBPROTOCOL
        yield Visitor(socket)


@pytest.mark.parametrize("path", ["/ws", "/function"])
def test_who_comes_back_misses_nothing(server: Server, path: str) -> None:
    with visit(server, path) as ann:
        ann.resume()
        known = ann.hear()["id"]
        server.http("/say?room=lobby&text=one")
        assert ann.hear_message() == "one"
    server.http("/say?room=lobby&text=two")
    with visit(server, path) as ann:
        ann.resume(lobby=known)
        server.http("/say?room=lobby&text=three")
        assert [ann.hear_message() for _ in range(3)] == ["one", "two", "three"]
        # What it says itself comes to the handler, and the answer to it.
        ann.socket.send(json.dumps({"join": "elsewhere"}))
        said = [ann.hear(), ann.hear()]
        assert any(isinstance(one, dict) and one.get("room") == "elsewhere" for one in said)
        assert any(isinstance(one, str) and one.startswith('{"answer"') for one in said)


def test_resume_that_makes_no_sense_is_1008(server: Server) -> None:
    with visit(server, "/ws") as eve:
        eve.socket.send(MARK + "nonsense")
        with pytest.raises(ConnectionClosed):
            list(iter(eve.hear, None))
        assert eve.socket.close_code == 1008


def test_other_clients_of_the_same_route_get_messages_as_they_are(server: Server) -> None:
    with connect(server.ws_url + "/ws", compression=None) as socket:
        socket.send(json.dumps({"members": "lobby"}))
        assert str(socket.recv(timeout=10)).startswith('{"answer"')
        server.http("/say?room=lobby&text=plain")
        assert socket.recv(timeout=10) == "plain"


@pytest.mark.redis
@pytest.mark.parametrize("kind", ["gunicorn-gthread", "gunicorn-gevent"])
def test_worker_that_is_killed_costs_its_clients_nothing(kind: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        env = {"ROOMS_REDIS_URL": redis.url}
        options = ("--workers", "3", "--timeout", "60")
        app = "tests.entrances.replay_app:app"
        server = stack.enter_context(start(kind, app, env=env, options=options, directory=tmp_path))
        hub = Hub(redis.url, history=10_000)
        stack.callback(hub.close)
        listeners = [Listener(server) for _ in range(12)]
        threads = [threading.Thread(target=listener.run) for listener in listeners]
        for thread in threads:
            thread.start()
        for listener in listeners:
            assert listener.is_in.wait(10)
        for number in range(600):
            hub.publish("all", str(number))
            if number in (200, 400):
                os.kill(max(child_pids(server.process.pid), key=count_fds), signal.SIGKILL)  # it has clients
            time.sleep(0.002)
        hub.publish("all", "end")
        for thread in threads:
            thread.join(30)
        assert sum(listener.times for listener in listeners) > len(listeners)
        for listener in listeners:
            assert listener.heard == [*map(str, range(600)), "end"]


def count_fds(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


class Listener:
    """A client that comes back with where it was, until the end of what is said."""

    def __init__(self, server: Server) -> None:
        self.heard: list[str] = []
        self.is_in = threading.Event()
        self.times = 0
        self._server = server
        self._ids: dict[str, str] = {}

    def run(self) -> None:
        while self.heard[-1:] != ["end"]:
            with contextlib.suppress(ConnectionClosed, OSError), visit(self._server, "/rooms/all") as visitor:
                self.times += 1
                visitor.resume(**self._ids)
                while self.heard[-1:] != ["end"]:
                    self._take(visitor.hear())

    def _take(self, said: dict[str, Any]) -> None:
        assert "gap" not in said
        assert "id" in said
        self._ids["all"] = said["id"]
        if "data" in said:
            self.heard.append(said["data"])
        self.is_in.set()
