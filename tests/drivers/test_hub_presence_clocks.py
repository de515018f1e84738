"""The register of hubs, where the clocks of their machines differ."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.drivers.hubs import Station, redis, stations
from tests.drivers.peer import wait_until
from tests.drivers.redisserver import RedisServer
from ws4py_middleware.hub import presence as module
from ws4py_middleware.hub.presence import Keys, Presence

__all__ = ["redis", "stations"]

pytestmark = pytest.mark.redis
Make = Callable[..., Station]
KEYS = Keys("clocks", 0)
#: Hundred times the timeout of 1 s is when a hub is taken for long gone.
AHEAD = 3600.0


@pytest.fixture
def client(redis: RedisServer) -> Any:
    client = redis.client()
    yield client
    client.flushall()
    client.close()


class Machine:
    """A hub on a machine whose clock may be wrong."""

    def __init__(self, client: Any, patch: pytest.MonkeyPatch, origin: bytes, ahead: float = 0.0) -> None:
        self._client = client
        self._patch = patch
        self._clock = SimpleNamespace(time=lambda: time.time() + ahead, monotonic=time.monotonic)
        self.presence = Presence(KEYS, origin, 1.0)
        with self._patch.context() as patched:
            patched.setattr(module, "time", self._clock)
            self.presence.begin()
            self.presence.begun(self._ask(self.presence.beginning() + self.presence.beat()))

    def _ask(self, commands: list[Any]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.response_callbacks = {}  # as they come
            for command in commands:
                pipe.execute_command(*command)
            answers: list[Any] = pipe.execute()
            return answers

    def beat(self) -> bool:
        """Say that it is alive; return whether it is still known."""
        with self._patch.context() as patched:
            patched.setattr(module, "time", self._clock)
            return self.presence.note(self._ask(self.presence.beat()), is_beat=True)


@pytest.mark.parametrize("ahead", [AHEAD, -AHEAD])
def test_hub_whose_clock_is_wrong_forgets_nobody_and_is_not_forgotten(
    client: Any, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    right = Machine(client, monkeypatch, b"\1" * 8)
    wrong = Machine(client, monkeypatch, b"\2" * 8, ahead)
    assert [wrong.beat(), right.beat()] == [True, True]
    for _ in range(3):
        assert [right.beat(), wrong.beat()] == [True, True]
    scores = [score for _, score in client.zrange(KEYS.hubs, 0, -1, withscores=True)]
    assert max(scores) - min(scores) <= 2


def test_redis_that_does_not_tell_the_time_is_used_all_the_same(redis: RedisServer, stations: Make) -> None:
    client = redis.client()
    client.execute_command("ACL", "SETUSER", "timeless", "on", ">p", "~*", "&*", "+@all", "-time")
    url = f"{redis.url}?username=timeless&password=p"
    some = [stations(url, presence_timeout=0.6) for _ in range(2)]
    for station in some:
        station.join("red", {"name": "Ann"})
    client.close()
    assert len(some[0].infos("red")) == 2
    session = some[0].backplane._session
    assert session is not None
    wait_until(lambda: session._presence._is_registered)
    assert session._presence._offset is None


def test_hub_that_is_long_gone_is_forgotten(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client.zadd(KEYS.hubs, {"gone": time.time() - AHEAD})
    machine = Machine(client, monkeypatch, b"\1" * 8)
    assert client.zcard(KEYS.hubs) == 2, "whose clock is right is not known yet"
    machine.beat()
    assert client.zrange(KEYS.hubs, 0, -1) == [b"0101010101010101-1"]
