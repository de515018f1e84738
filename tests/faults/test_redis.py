"""A Redis that dies, stands still, refuses or is written to by others, while people talk at two workers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.redisserver import RedisServer, killed, paused
from tests.faults.conftest import ROOMS_MARGIN, start_rooms
from tests.faults.harness import Watched
from tests.faults.traffic import Traffic, ask
from tests.promises.attacker import report
from tests.promises.conftest import BOTH
from tests.promises.wire import TEXT, KiB, MiB, frame
from tests.servers import wait_for
from ws4py_middleware.hub.parcels import Parcel, pack_parcel

pytestmark = [pytest.mark.slow, pytest.mark.redis]

WORKERS = 2
CHANNEL = "ws4py:0:room:lobby"
#: A second, and what a busy machine adds.
SOON = 1.0 + 0.5


@dataclasses.dataclass
class Rooms:
    """What the tests of one kind of server share."""

    kind: str
    watched: Watched
    redis: RedisServer
    #: Of redis-py; of a Redis that is not killed it has one connection all the time.
    client: Any

    def inside(self) -> list[dict[str, int]]:
        """Return what each worker knows."""
        states = []
        for worker in self.watched.workers:
            with self.watched.connect_to(worker, "/inside") as peer:
                states.append(ask(peer))
                assert states[-1]["pid"] == worker
        return states

    def total(self, name: str) -> int:
        """Return one of the figures of all workers."""
        return sum(state[name] for state in self.inside())


@pytest.fixture(scope="module", params=BOTH)
def rooms(request: pytest.FixtureRequest) -> Iterator[Rooms]:
    began = time.monotonic()
    with start_rooms(request.param, workers=WORKERS) as (watched, redis):
        client = redis.client()
        yield Rooms(request.param, watched, redis, client)
        client.close()
        log = watched.server.log
    # Whatever happens again and again is said once a minute by each worker.
    minutes = int((time.monotonic() - began) / 60) + 1
    for part in ("is away; members", "has refused", "is no message of a hub", "are dropped", "make no sense"):
        assert log.count(part) <= WORKERS * minutes, (part, log)


# --- away ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def asleep(redis: RedisServer) -> Iterator[None]:
    with contextlib.closing(redis.client()) as client:
        sleeper = threading.Thread(target=client.execute_command, args=("DEBUG", "SLEEP", "1.5"))
        sleeper.start()
        yield
        sleeper.join()


@contextlib.contextmanager
def deaf(redis: RedisServer) -> Iterator[None]:
    """It takes commands, and answers later."""
    with contextlib.closing(redis.client()) as client:
        client.client_pause(1500)
        yield
        client.ping()


Outage = Callable[[RedisServer], contextlib.AbstractContextManager[None]]
#: For how many seconds.
OUTAGES: dict[str, tuple[Outage, float]] = {
    "killed": (killed, 1.0),
    "restarted": (killed, 0.0),
    "paused": (paused, 5.0),
    "asleep": (asleep, 0.0),
    "deaf": (deaf, 0.0),
}


@pytest.mark.parametrize("name", OUTAGES)
def test_people_at_one_worker_go_on_and_all_are_back_soon(rooms: Rooms, name: str) -> None:
    """
    Those at the same worker hear each other all the time; the others again within a second.

    Nobody hears anything twice, nor in another order; and nobody has left.
    """
    outage, seconds = OUTAGES[name]
    with rooms.watched.recovers(ROOMS_MARGIN), Traffic(rooms.watched) as traffic:
        watcher = traffic.enter(rooms.watched.workers[0], "watch")
        watcher.told.clear()
        with outage(rooms.redis):
            traffic.go_on(seconds)
        back = traffic.wait_heard_by_all()
        traffic.check_local()
        assert [text for text in watcher.told if '"left"' in text] == []
    report(f"faults {rooms.kind} Redis {name}", back=f"{back:.2f} s", local=traffic.local.text)
    assert back <= SOON


def test_what_waits_for_a_redis_that_is_away_is_bounded(rooms: Rooms) -> None:
    """19 MiB are published, and 8 MiB kept."""
    worker = rooms.watched.workers[0]
    # The queue itself was never so long before; what it has held is free, but the heap keeps its size.
    margin = ROOMS_MARGIN._replace(memory=12 * MiB)
    with rooms.watched.recovers(margin), rooms.watched.connect_to(worker, "/ws") as peer:
        with killed(rooms.redis):
            peer.send(frame(TEXT, b'{"flood": "quiet", "count": 300}'))
            assert peer.read_frame().payload == b'{"answer": 0}'
            (state,) = (state for state in rooms.inside() if state["pid"] == worker)
        wait_for(lambda: rooms.total("queued") == 0, what="the queue to be sent")
    report(f"faults {rooms.kind} queue", queued=f"{state['queued_bytes'] / MiB:.2f} MiB")
    assert 7 * MiB <= state["queued_bytes"] <= 8 * MiB
    assert state["dropped"] >= 300 - 8 * MiB // (64 * KiB)


# --- refusing --------------------------------------------------------------------------------------------


def cut_all(rooms: Rooms) -> None:
    """End all connections but one's own."""
    for kind in ("normal", "pubsub"):
        rooms.client.client_kill_filter(_type=kind, skipme=True)


@pytest.mark.parametrize(
    ("setting", "bad", "good"), [("requirepass", "secret", ""), ("maxclients", "1", "10000")]
)
def test_redis_that_lets_nobody_in_is_tried_again(rooms: Rooms, setting: str, bad: str, good: str) -> None:
    with rooms.watched.recovers(ROOMS_MARGIN), Traffic(rooms.watched) as traffic:
        rooms.client.config_set(setting, bad)
        cut_all(rooms)
        traffic.go_on(1.0)
        assert not any(state["is_connected"] for state in rooms.inside())
        rooms.client.config_set(setting, good)
        back = traffic.wait_heard_by_all()
        traffic.check_local()
    report(f"faults {rooms.kind} Redis {setting}", back=f"{back:.2f} s")
    assert back <= SOON


def test_redis_without_memory_costs_presence_and_nothing_else(rooms: Rooms) -> None:
    """Messages need none. Nobody is thought to have left, and who has come meanwhile is seen afterwards."""
    with rooms.watched.recovers(ROOMS_MARGIN), Traffic(rooms.watched) as traffic:
        here, there = rooms.watched.workers
        watcher = traffic.enter(here, "watch")
        rooms.client.config_set("maxmemory", "1")
        try:
            watcher.told.clear()
            late = traffic.enter(here)
            traffic.go_on(2.5)  # longer than a process that says nothing is thought to be alive
            traffic.check_all()
            assert rooms.total("refused") == 0
        finally:
            rooms.client.config_set("maxmemory", "0")
        with rooms.watched.connect_to(there, "/ws") as peer:
            names = {person.name for person in traffic.talking}
            assert late.name in names

            def seen() -> set[str]:
                return {info["name"] for info in ask(peer, '{"members": "lobby"}')["answer"]}

            wait_for(lambda: seen() == names, what="all to be seen")
        assert [text for text in watcher.told if '"left"' in text] == []


# --- hostile ---------------------------------------------------------------------------------------------


class Touch:
    """What unpickling, or anything like it, would do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


def test_what_others_write_is_dropped_counted_and_never_executed(rooms: Rooms, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    good = pack_parcel(Parcel(b"somebody", 1, b"x" * 100, True))
    pickles = [pickle.dumps(Touch(touched), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    bad = [
        *pickles,
        *(good[:length] for length in range(20)),
        good[:2] + pickles[2],
        b"\x02" + good[1:],
        good + b"\xff",
        pack_parcel(Parcel(b"somebody", 2, b"x" * (2 * MiB), True)),
        f"__import__('pathlib').Path({str(touched)!r}).touch()".encode(),
        b'{"py/object": "os.system"}',
        os.urandom(1000),
    ]
    client = rooms.client
    with rooms.watched.recovers(ROOMS_MARGIN), Traffic(rooms.watched) as traffic:
        before = rooms.total("malformed")
        for wire in bad:
            client.publish(CHANNEL, wire)
            client.hset("ws4py:members:lobby", wire[:100] or b"x", wire)
            client.zadd("ws4py:hubs", {wire: time.time()})
            client.xadd("ws4py:history:lobby", {wire[:100] or b"x": wire})
        client.publish("ws4py:0:hub:" + "0" * 16, bad[0])
        with rooms.watched.connect_to(rooms.watched.workers[0], "/ws") as peer:
            infos = ask(peer, '{"members": "lobby"}')["answer"]
        assert sorted(info["name"] for info in infos) == sorted(one.name for one in traffic.talking)
        traffic.go_on(1.0)  # beats go on, too
        malformed = rooms.total("malformed") - before
        traffic.check_all()
        client.delete("ws4py:members:lobby", "ws4py:history:lobby", "ws4py:hubs")
    report(f"faults {rooms.kind} hostile", bad=len(bad), malformed=malformed)
    # Each worker has heard them all; and one has seen those among the members.
    assert malformed >= WORKERS * len(bad)
    assert not touched.exists()
    assert "touched" not in rooms.watched.server.log


def test_keys_of_other_types_cost_what_is_in_them(rooms: Rooms) -> None:
    client = rooms.client
    here, there = rooms.watched.workers
    with rooms.watched.recovers(ROOMS_MARGIN), Traffic(rooms.watched) as traffic:
        client.delete("ws4py:members:odd", "ws4py:hubs")
        client.rpush("ws4py:members:odd", pickle.dumps("a list"))
        client.set("ws4py:hubs", pickle.dumps("a string"))
        cut_all(rooms)  # they have to find their way in, too
        odd = [traffic.enter(worker, "odd") for worker in (here, there)]
        back = traffic.wait_heard_by_all()
        traffic.go_on(0.7)  # beats go on
        traffic.check_local()

        with rooms.watched.connect_to(here, "/ws") as peer:

            def members() -> list[str]:
                return sorted(info["name"] for info in ask(peer, '{"members": "odd"}')["answer"])

            assert members() == [odd[0].name]
            client.delete("ws4py:members:odd", "ws4py:hubs")
            wait_for(lambda: members() == sorted(one.name for one in odd), what="both to be seen")
        wait_for(lambda: client.zcard("ws4py:hubs") == WORKERS, what="the register to be there again")
    assert back <= SOON
