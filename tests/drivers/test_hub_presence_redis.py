"""Who tells that the members of a killed process have left."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.drivers.guests import Guest
from tests.drivers.hubs import Station, fragile, redis, stations
from tests.drivers.peer import wait_until
from tests.drivers.redisserver import RedisServer
from tests.servers import ROOT
from ws4py_middleware.hub import Member

__all__ = ["fragile", "redis", "stations"]

pytestmark = pytest.mark.redis
Make = Callable[..., Station]
#: Seconds. A third of it later, and a moment, everybody knows.
TIMEOUT = 0.6

PROGRAM = """
import sys, time
from tests.drivers.guests import Guest
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.redis import RedisBackplane

url, timeout, rooms, count = sys.argv[1], float(sys.argv[2]), sys.argv[3].split(), int(sys.argv[4])
hub = Hub(RedisBackplane(url, presence_timeout=timeout))
guests = [Guest() for _ in range(count)]
for number, guest in enumerate(guests):
    for room in rooms:
        hub.join(guest, room, {"number": number})
print("in", flush=True)
sys.stdin.read()
hub.close()
"""


class Told:
    """What a hub's callbacks were told."""

    def __init__(self, *stations: Station) -> None:
        self.joined: list[tuple[str, Any]] = []
        self.left: list[tuple[str, Any]] = []
        self.members: list[Member] = []
        for station in stations:
            station.hub.on_joined(lambda room, member: self.joined.append((room, dict(member.info))))
            station.hub.on_left(self._note)

    def _note(self, room: str, member: Member) -> None:
        self.left.append((room, dict(member.info)))
        self.members.append(member)


@contextlib.contextmanager
def process(url: str, rooms: str = "red", count: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    """Let there be another process with members in rooms."""
    command = [sys.executable, "-c", PROGRAM, url, str(TIMEOUT), rooms, str(count)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"in\n"
            yield child
        finally:
            child.kill()


def wait_looks(*some: Station, count: int = 2) -> None:
    """Wait until each has looked for the dead so many times."""
    for station in some:
        session = station.backplane._session
        assert session is not None
        reaper, looks = session._reaper, [0]
        look = reaper.look

        def counted(*arguments: Any, look: Any = look, looks: list[int] = looks) -> None:
            look(*arguments)
            looks[0] += 1

        reaper.look = counted  # type: ignore[method-assign,assignment]
        wait_until(lambda: looks[0] >= count)  # noqa: B023
        reaper.look = look  # type: ignore[method-assign]


def test_members_of_a_killed_process_have_left_once_in_all(redis: RedisServer, stations: Make) -> None:
    some = [stations(presence_timeout=TIMEOUT) for _ in range(3)]
    told = Told(*some)
    for station in some:
        station.join("red", {"number": "survivor"})
    told.joined.clear()
    with process(redis.url, "red blue", count=20) as child:
        wait_until(lambda: len(some[0].infos("red")) == 23)
        child.kill()
        began = time.monotonic()
        wait_until(lambda: len(told.left) >= 20)
        assert time.monotonic() - began < 4 / 3 * TIMEOUT + 1.0
        wait_looks(*some)
    # Each once, and nobody of a room in which none of these is.
    assert Counter((room, info["number"]) for room, info in told.left) == {("red", n): 1 for n in range(20)}
    assert [info["number"] for _, info in told.left] == list(range(20))
    assert all(member.websocket is None for member in told.members)
    assert told.joined == []
    assert len(some[1].infos("red")) == 3


def test_who_comes_later_tells_of_those_who_had_gone_before(redis: RedisServer, stations: Make) -> None:
    with process(redis.url, "yellow green") as child:
        watcher = stations(presence_timeout=TIMEOUT)
        wait_until(lambda: len(watcher.infos("green")) == 1)
        child.kill()
        wait_until(lambda: watcher.infos("green") == [])  # who only looks takes nothing away
    one = stations(presence_timeout=TIMEOUT)
    told = Told(one)
    one.join("yellow")
    wait_until(lambda: told.left == [("yellow", {"number": 0})])
    one.join("green")
    wait_until(lambda: told.left == [("yellow", {"number": 0}), ("green", {"number": 0})])
    client = redis.client()
    wait_until(lambda: client.hlen("ws4py:members:green") == 1)
    client.close()


def test_process_that_ends_in_order_has_nobody_told(redis: RedisServer, stations: Make) -> None:
    one = stations(presence_timeout=TIMEOUT)
    told = Told(one)
    one.join("red")
    with process(redis.url) as child:
        wait_until(lambda: len(one.infos("red")) == 2)
        child.communicate()
        wait_until(lambda: len(one.infos("red")) == 1)
        wait_looks(one)
    assert told.left == []


def test_process_that_was_cut_off_for_a_moment_is_not_taken_for_dead(
    redis: RedisServer, stations: Make
) -> None:
    one, two = stations(presence_timeout=TIMEOUT), stations(presence_timeout=TIMEOUT)
    told = Told(one, two)
    one.join("red", {"name": "Ann"})
    ann = two.join("red", {"name": "Bob"})
    client = redis.client()
    for _ in range(3):
        outages = two.stat("outages")
        client.client_kill_filter(_type="normal", skipme=True)
        client.client_kill_filter(_type="pubsub", skipme=True)
        wait_until(lambda: two.stat("outages") > outages)  # noqa: B023
        two.wait_ready()
    wait_looks(one, two, count=3)
    assert told.left == []
    assert one.infos("red") == [{"name": "Ann"}, {"name": "Bob"}]
    two.hub.leave(ann, "red")
    assert told.left == [("red", {"name": "Bob"})]
    # What they have told under other names is gone, too.
    wait_until(lambda: one.infos("red") == [{"name": "Ann"}] and client.hlen("ws4py:members:red") == 1)
    client.close()


def test_nobody_has_died_when_it_was_the_redis_that_was_away(fragile: RedisServer, stations: Make) -> None:
    url = fragile.url + "?socket_timeout=0.3"
    some = [stations(url, presence_timeout=TIMEOUT) for _ in range(4)]
    told = Told(*some)
    for station in some:
        station.join("red")
    wait_until(lambda: len(some[0].infos("red")) == 4)
    fragile.pause()
    for station in some:
        wait_until(lambda: station.stat("outages") > 0)  # noqa: B023
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2 * TIMEOUT)  # all keys have expired
    fragile.resume()
    for station in some:
        station.wait_ready()
    wait_looks(*some)
    assert told.left == []
    assert len(some[0].infos("red")) == 4


def test_redis_without_memory_makes_nobody_dead(fragile: RedisServer, stations: Make) -> None:
    some = [stations(fragile.url, presence_timeout=TIMEOUT) for _ in range(2)]
    told = Told(*some)
    for station in some:
        station.join("red")
    wait_until(lambda: len(some[0].infos("red")) == 2)
    client = fragile.client()
    client.config_set("maxmemory", "1")
    late = Guest()
    some[0].hub.join(late, "red", {"name": "late"})
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2 * TIMEOUT)
    assert len(some[1].infos("red")) == 2
    other = stations(fragile.url, presence_timeout=TIMEOUT)
    bob = other.join("red")
    some[0].hub.publish("red", "hello")
    wait_until(lambda: bob.heard == [b"hello"])
    client.config_set("maxmemory", "0")
    wait_until(lambda: len(some[1].infos("red")) == 4)
    wait_looks(*some)
    assert told.left == []
    client.close()


def test_register_that_somebody_else_has_written_harms_nobody(
    redis: RedisServer, stations: Make, caplog: pytest.LogCaptureFixture
) -> None:
    client = redis.client()
    bad = [b"", b"\xff", b"x" * 10_000, b"../..", pickle.dumps(Member), b"0123456789abcdef-1\n"]
    client.zadd("ws4py:hubs", {**dict.fromkeys(bad, time.time()), b"0123456789abcdef-1": time.time()})
    one = stations(presence_timeout=TIMEOUT)
    told = Told(one)
    one.join("red")
    fields = {b"0123456789abcdef-1:m": b"no json", b"0123456789abcdef-1:n": b'[1, {"name": "x"}]'}
    client.hset("ws4py:members:red", mapping=fields)
    client.set("ws4py:members:odd", "no hash")
    one.join("odd")
    wait_until(lambda: told.left == [("red", {"name": "x"})])
    client.delete("ws4py:hubs", "ws4py:members:odd")
    client.set("ws4py:hubs", "no register")
    two = stations(presence_timeout=TIMEOUT)
    bob = two.join("red")
    one.hub.publish("red", "hello")
    wait_until(lambda: bob.heard == [b"hello"])
    assert two.infos("red") == [{}, {}]
    wait_until(lambda: "has refused: WRONGTYPE" in caplog.text)
    client.delete("ws4py:hubs")
    wait_until(lambda: client.zcard("ws4py:hubs") == 2)
    client.close()


def test_callback_may_take_its_time_and_publish(redis: RedisServer, stations: Make) -> None:
    one, two = stations(presence_timeout=TIMEOUT, queue_policy="wait"), stations()
    bob = two.join("news")

    @one.hub.on_left
    def left(room: str, member: Member) -> None:
        time.sleep(0.1)  # as a callback that asks a database
        one.hub.publish("news", f"{member.info['number']} of {room}")

    one.join("red")
    with process(redis.url, count=3) as child:
        wait_until(lambda: len(one.infos("red")) == 4)
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: bob.heard == [b"0 of red", b"1 of red", b"2 of red"])
