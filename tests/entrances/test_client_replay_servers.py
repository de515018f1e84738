"""Clients of each kind, whose real server is killed and started again while somebody publishes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.clients import KINDS, Session, make_client
from tests.drivers.hubs import redis
from tests.drivers.peer import wait_until
from tests.drivers.redisserver import RedisServer, redis_server
from tests.entrances.publisher import Publisher
from tests.servers import Server, free_port, start
from tests.servers.live import child_pids
from ws4py_middleware.client import Backoff, WebSocketBaseClient
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.replay import SUBPROTOCOL
from ws4py_middleware.manager import WebSocketManager

__all__ = ["redis"]

pytestmark = pytest.mark.redis

APP = "tests.entrances.replay_app:app"
SOON = Backoff(initial=0.1, maximum=0.5)
END = "end"


@contextlib.contextmanager
def serve(redis: RedisServer, port: int, directory: Path) -> Iterator[Server]:
    options = ("--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "4")
    env = {"ROOMS_REDIS_URL": redis.url}
    with start("gunicorn-gthread", APP, env=env, options=options, directory=directory) as server:
        yield server
        assert "Traceback" not in server.log, server.log


def kill(server: Server) -> None:
    for pid in (server.process.pid, *child_pids(server.process.pid)):
        os.kill(pid, signal.SIGKILL)
    server.process.wait()


def enter(session: Session, room: str) -> None:
    """Connect, and wait until it is told where it is."""
    session.connect()
    while room not in session.client.positions:
        with contextlib.suppress(TimeoutError):
            session.receive(0.01)


def listen(kind: str, url: str, heard: list[str], missed: list[str], is_in: threading.Barrier) -> None:
    """Hear all that is said, until the end of it."""
    with make_client(kind, url, protocols=[SUBPROTOCOL], reconnect=SOON) as session:
        session.client.missed = missed.append
        session.connect()
        heard.append(str(session.receive()))
        is_in.wait(30)
        while (message := session.receive(30)) is not None and str(message) != END:
            heard.append(str(message))
        assert message is not None, (session.told, heard[-1])


def test_nothing_is_missed_or_doubled_whatever_happens_to_the_server(
    redis: RedisServer, tmp_path: Path
) -> None:
    port = free_port()
    url = f"ws://127.0.0.1:{port}/rooms/all"
    heard: dict[str, list[str]] = {kind: [] for kind in KINDS}
    missed: list[str] = []
    is_in = threading.Barrier(len(KINDS) + 1)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(KINDS)) as pool:
        first = stack.enter_context(serve(redis, port, tmp_path))
        with Publisher(redis.url, "all", interval=0.003, end=END) as publisher:
            listeners = [pool.submit(listen, kind, url, heard[kind], missed, is_in) for kind in KINDS]
            is_in.wait(30)
            kill(first)
            with serve(redis, port, tmp_path):  # and this one ends in order, with 1001
                time.sleep(1)
            stack.enter_context(serve(redis, port, tmp_path))
            time.sleep(1)
        for listener in listeners:
            listener.result(60)
    for kind, lines in heard.items():
        numbers = [int(line) for line in lines]
        assert numbers == list(range(numbers[0], publisher.count)), (kind, len(numbers), publisher.count)
    assert publisher.count > 500
    assert missed == []


def test_clients_in_a_manager_miss_nothing_either(redis: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    done = threading.Event()

    class Managed(WebSocketBaseClient):
        def __init__(self) -> None:
            url = f"ws://127.0.0.1:{port}/rooms/managed"
            super().__init__(url, [SUBPROTOCOL], reconnect=SOON)
            self.heard: list[str] = []

        def handshake_ok(self) -> None:
            manager.add(self)

        def received_message(self, message: Any) -> None:
            self.heard.append(str(message))
            if self.heard[-1] == END and all(client.heard[-1:] == [END] for client in clients):
                done.set()

    manager = WebSocketManager()
    manager.start()
    clients = [Managed() for _ in range(20)]
    try:
        with Publisher(redis.url, "managed", interval=0.003, end=END) as publisher:
            with serve(redis, port, tmp_path) as server:
                for client in clients:
                    client.connect()
                wait_until(lambda: all(client.heard for client in clients))
                kill(server)
            with serve(redis, port, tmp_path):
                publisher.stop()
                assert done.wait(30)
                for client in clients:
                    client.close()
    finally:
        manager.stop()
    for client in clients:
        numbers = [int(line) for line in client.heard[:-1]]
        assert numbers == list(range(numbers[0], publisher.count))


@pytest.mark.parametrize("kind", KINDS)
def test_program_that_starts_again_goes_on_where_it_was(
    kind: str, redis: RedisServer, tmp_path: Path
) -> None:
    port = free_port()
    hub = Hub(redis.url, history=10_000)
    room = f"again-{kind}"
    options: dict[str, Any] = {"protocols": [SUBPROTOCOL]}
    with contextlib.closing(hub), serve(redis, port, tmp_path):
        with make_client(kind, f"ws://127.0.0.1:{port}/rooms/{room}", **options) as session:
            enter(session, room)
            hub.publish(room, "1")
            hub.publish(room, b"\xff2")
            assert [session.receive().data, session.receive().data] == [b"1", b"\xff2"]
            positions = session.client.positions
        hub.publish(room, "\x1e3")
        hub.publish(room, "4")
        with make_client(
            kind, f"ws://127.0.0.1:{port}/rooms/{room}", positions=positions, **options
        ) as session:
            session.connect()
            assert [session.receive().data, session.receive().data] == [b"\x1e3", b"4"]
            session.send("\x1e5")
            message = session.receive()
            assert (message.data, message.room) == (b"\x1e5", room)


def test_what_came_while_the_redis_was_away_does_not_come_again(tmp_path: Path) -> None:
    port = free_port()
    with redis_server() as redis, serve(redis, port, tmp_path), contextlib.ExitStack() as stack:
        url = f"ws://127.0.0.1:{port}/rooms/keys"
        options: dict[str, Any] = {"protocols": [SUBPROTOCOL], "reconnect": SOON}
        # In one of the workers is the speaker, whose words come there at once.
        speaker, *others = [stack.enter_context(make_client(kind, url, **options)) for kind in KINDS]
        for session in (speaker, *others):
            enter(session, "keys")
        speaker.send("with an id")
        first = [session.receive() for session in (speaker, *others)]
        assert all(message.id for message in first)
        redis.kill()
        speaker.send("without one")
        early = speaker.receive(30)
        assert (str(early), early.id, early.room) == ("without one", None, "keys")
        redis.start()
        while speaker.client.positions == {"keys": first[0].id}:
            with pytest.raises(TimeoutError):
                speaker.receive(0.05)  # nothing comes twice, but it learns where it is
        speaker.send(END)
        for session in (speaker, *others):
            heard: list[str] = []
            while heard[-1:] != [END]:
                heard.append(str(session.receive(30)))
            assert heard in ([END], ["without one", END]) if session is not speaker else heard == [END]
