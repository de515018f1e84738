"""Hubs that share a Redis, as those of several processes do, and a Redis for tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.drivers.guests import Guest
from tests.drivers.peer import wait_until
from tests.drivers.redisserver import RedisServer, redis_server
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.redis import RedisBackplane


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A Redis for the tests of one file, which leave it running."""
    with redis_server() as server:
        yield server


@pytest.fixture
def fragile() -> Iterator[RedisServer]:
    """A Redis for one test, which may do with it what it likes."""
    with redis_server() as server:
        yield server


class Station:
    """A hub, its backplane, and what is asked of both."""

    def __init__(self, url: str, **options: Any) -> None:
        self.backplane = RedisBackplane(url, **options)
        self.hub = Hub(self.backplane)

    def join(self, room: str, info: dict[str, Any] | None = None) -> Guest:
        """Let somebody come in, and wait until the room is subscribed."""
        guest = Guest()
        rooms = set(self.hub.rooms()) | {room}
        self.hub.join(guest, room, info)
        self.wait_ready(len(rooms))
        return guest

    def wait_ready(self, rooms: int | None = None) -> None:
        """Wait until it is connected, and has subscribed to all its rooms."""
        count = len(self.hub.rooms()) if rooms is None else rooms
        wait_until(lambda: self.backplane.is_connected and self.stat("rooms") == count)

    def stat(self, name: str) -> int:
        """Return one of its figures."""
        return self.backplane.stats()[name]

    def infos(self, room: str) -> list[Any]:
        """Return what is known of those in a room."""
        return [dict(member.info) for member in self.hub.members(room)]


@pytest.fixture
def stations(redis: RedisServer) -> Iterator[Callable[..., Station]]:
    """Make hubs on the file's Redis, or another one; they end with the test."""
    with contextlib.ExitStack() as stack:

        def make(url: str = redis.url, **options: Any) -> Station:
            station = Station(url, **options)
            stack.callback(station.hub.close)
            return station

        yield make
