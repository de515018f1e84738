"""A reload, a worker that is killed, one that has served enough, a restart: who comes back misses nothing."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.hubs import redis
from tests.drivers.redisserver import RedisServer
from tests.entrances.drains import WORKERS, serve
from tests.entrances.publisher import Publisher
from tests.servers import Server, child_pids, free_port, wait_for
from ws4py_middleware.client import Backoff
from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.hub.replay import SUBPROTOCOL
from ws4py_middleware.messaging import Message

__all__ = ["redis"]

pytestmark = pytest.mark.redis

APP = "tests.entrances.replay_app:app"

ROOM = "news"
READERS = 10

#: These do not count requests.
UNCOUNTING = ("gevent_pywsgi",)


class Impatient(Backoff):
    """Come back at once, whatever the server asks for: that is harder for it, and a shorter test."""

    def delay(self, attempt: int, retry_after: float | None = None, **options: Any) -> float:
        return super().delay(attempt, None, **options)


class Reader(WebSocketClient):
    """Note what comes of the room, and how often it had to come back."""

    def __init__(self, url: str) -> None:
        self.numbers: list[int] = []
        self.gaps = 0
        self.visits = 0
        super().__init__(url, [SUBPROTOCOL], reconnect=Impatient(initial=0.05, maximum=0.4))

    def opened(self) -> None:
        self.visits += 1

    def received_message(self, message: Message) -> None:
        self.numbers.append(int(message.data))

    def missed(self, room: str) -> None:
        self.gaps += 1


@contextlib.contextmanager
def connected(url: str) -> Iterator[list[Reader]]:
    readers = [Reader(url) for _ in range(READERS)]
    try:
        for reader in readers:
            reader.connect()
        # They know where they are, and so where to go on.
        wait_for(lambda: all(ROOM in reader.positions for reader in readers), 10, "a position")
        yield readers
    finally:
        for reader in readers:
            reader.close()
        for reader in readers:
            reader.run_forever()


def wait_until_back(readers: list[Reader], visits: int, publisher: Publisher) -> None:
    """Wait until all have come back, and hear what is published now."""
    wait_for(lambda: all(reader.visits >= visits for reader in readers), 20, f"visit {visits}")
    now = publisher.count
    wait_for(lambda: all(reader.numbers[-1:] >= [now] for reader in readers), 20, f"message {now}")


def wait_for_one_worker(server: Server) -> int:
    """Wait until the others have ended; return its process."""
    wait_for(lambda: len(child_pids(server.process.pid)) == 1, 20, "the end of the others")
    return server.pid


def exhaust(server: Server) -> None:
    """Have the worker serve as many requests as it may."""
    pid = wait_for_one_worker(server)

    def is_another() -> bool:
        with contextlib.suppress(ConnectionError):  # uvicorn's worker may cut off who is one too many
            return int(server.http("/pid").body) != pid
        return False

    wait_for(is_another, 20, "max_requests")


@pytest.mark.parametrize("worker", WORKERS)
def test_client_that_comes_back_misses_nothing_and_hears_nothing_twice(
    worker: str, redis: RedisServer
) -> None:
    port = free_port()
    url = f"ws://127.0.0.1:{port}/rooms/{ROOM}"
    options = ("--bind", f"127.0.0.1:{port}", "--max-requests", "60", "--graceful-timeout", "10")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serve(worker, APP, *options, ROOMS_REDIS_URL=redis.url))
        readers = stack.enter_context(connected(url))
        publisher = stack.enter_context(Publisher(redis.url, ROOM, interval=0.001))
        visits = itertools.count(2)
        wait_until_back(readers, 1, publisher)
        server.signal(signal.SIGHUP)
        wait_until_back(readers, next(visits), publisher)
        os.kill(wait_for_one_worker(server), signal.SIGKILL)
        wait_until_back(readers, next(visits), publisher)
        if worker not in UNCOUNTING:
            exhaust(server)
            wait_until_back(readers, next(visits), publisher)
        server.stop()
        stack.enter_context(serve(worker, APP, *options, ROOMS_REDIS_URL=redis.url))
        wait_until_back(readers, next(visits), publisher)
        publisher.stop()
        wait_for(lambda: all(reader.numbers[-1] == publisher.count - 1 for reader in readers), 20)
        for reader in readers:
            reader.close()  # the server ends before them, and they would go on
            assert reader.numbers == list(range(publisher.count))
            assert reader.gaps == 0
