"""Rooms that keep what was published, in a Redis that is killed, paused, emptied and trimmed."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.drivers.guests import Guest
from tests.drivers.hubs import Station, fragile, redis, stations
from tests.drivers.peer import wait_until
from tests.drivers.readers import Client, Reader, check_heard
from tests.drivers.redisserver import RedisServer
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.redis import RedisBackplane
from ws4py_middleware.hub.redis_listener import Listener

__all__ = ["fragile", "redis", "stations"]

pytestmark = pytest.mark.redis
Make = Callable[..., Station]
_rooms = (f"room {number}" for number in itertools.count())


def join(station: Station, room: str, since: str | None = None) -> Reader:
    """Let somebody come in, and wait until it has been told where it is, or something else."""
    reader = Reader()
    station.hub.join(reader, room, since=since, envelope=True)
    wait_until(lambda: bool(reader.said))
    return reader


def say(station: Station, room: str, *texts: object) -> None:
    for text in texts:
        station.hub.publish(room, str(text))


def test_members_everywhere_get_one_order_with_ids(stations: Make) -> None:
    one, two = stations(history=5000), stations(history=5000)
    readers = [join(station, "all") for station in (one, two, one)]
    threads = [threading.Thread(target=say, args=(station, "all", *range(500))) for station in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for reader in readers:
        wait_until(lambda: len(reader.texts) == 1000)  # noqa: B023
    said = [[one for one in reader.said if "data" in one] for reader in readers]
    assert said[0] == said[1] == said[2]
    assert all("key" not in one for one in said[0])
    assert [kept.id for kept in one.hub.history("all", limit=5000)] == [one["id"] for one in said[0]]


def test_who_joins_and_publishes_hears_it(stations: Make) -> None:
    """Also without an envelope, and at once: the first message is sent when the room is subscribed to."""
    station = stations(history=5)
    for number in range(50):
        guest, reader = Guest(), Reader()
        station.hub.join(guest, f"echo {number}")
        station.hub.join(reader, f"echo {number}", envelope=True)
        station.hub.publish(f"echo {number}", "hello")
        wait_until(lambda: guest.heard == [b"hello"] and reader.texts == ["hello"])  # noqa: B023


def test_who_publishes_before_the_listener_has_begun_hears_it(
    stations: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first room of a process has both threads started, and nobody knows which one is the faster."""
    start = Listener.start
    monkeypatch.setattr(Listener, "start", lambda self: threading.Timer(0.1, start, [self]).start())
    hub = stations(history=5).hub
    guest, reader = Guest(), Reader()
    hub.join(guest, "late")
    hub.join(reader, "late", envelope=True)
    hub.publish("late", "hello")
    wait_until(lambda: guest.heard == [b"hello"] and reader.texts == ["hello"])


def test_who_comes_back_gets_what_it_missed_wherever_it_comes(stations: Make) -> None:
    one, two = stations(history=100), stations(history=100)
    client = Client("away")
    client.connect(one.hub)
    wait_until(lambda: client.position is not None)
    client.disconnect()
    say(two, "away", *range(10))
    wait_until(lambda: len(one.hub.history("away")) == 10)  # else those of two processes have no order
    client.connect(two.hub)
    say(one, "away", *range(10, 20))
    wait_until(lambda: len(client.heard) == 20)
    check_heard(client.heard)
    guest = Guest()
    two.hub.join(guest, "away", since=two.hub.history("away")[16].id)
    wait_until(lambda: guest.heard == [b"17", b"18", b"19"])


def test_views_and_programs_read_without_a_websocket(redis: RedisServer, stations: Make) -> None:
    program = Hub(redis.url, history=3)
    for message in ("one", b"\xff", "three", "four"):
        program.publish("page", message)
    program.close()
    view = stations(history=3).hub
    kept = view.history("page")
    assert [one.data for one in kept] == [b"\xff", "three", "four"]
    assert view.history("page", kept[0].id) == kept[1:]
    assert view.history("page", "no id at all") == kept
    assert view.history("page", limit=1) == kept[2:]
    assert view.history("nothing here") == []


def test_stream_is_trimmed_and_expires(redis: RedisServer, stations: Make) -> None:
    station = stations(history=lambda room: 3 if room == "count" else "1 s", history_timeout=60)
    say(station, "count", *range(10))
    say(station, "time", 0)
    client = redis.client()
    wait_until(lambda: client.exists("ws4py:history:time") and client.xlen("ws4py:history:count") == 3)
    assert 55_000 < client.pttl("ws4py:history:count") <= 60_000
    assert 115_000 < client.pttl("ws4py:last:count") <= 120_000
    assert 0 < client.pttl("ws4py:history:time") <= 1000
    known = station.hub.history("time")[0].id
    early = known.split("-")[0][:-4] + "0000-0"
    wait_until(lambda: not client.exists("ws4py:history:time"))
    assert join(station, "time", since=known).said == [{"room": "time", "id": known}]
    reader = join(station, "time", since=early)
    wait_until(lambda: len(reader.said) == 2)
    assert reader.said == [{"room": "time", "gap": True}, {"room": "time", "id": known}]
    client.close()


def test_old_messages_are_not_read_even_when_nothing_has_trimmed_them(stations: Make) -> None:
    station = stations(history="300 s")
    say(station, "old", "old")
    wait_until(lambda: len(station.hub.history("old")) == 1)
    hasty = stations(history="0.2 s")
    wait_until(lambda: hasty.hub.history("old") == [])


def test_messages_that_are_large_are_read_in_steps(stations: Make) -> None:
    station = stations(history=100)
    first = join(station, "large")
    for number in range(20):
        station.hub.publish("large", str(number) + "x" * 500_000)
    wait_until(lambda: len(first.texts) == 20)
    late = join(station, "large", since=first.said[0]["id"])
    wait_until(lambda: late.texts == first.texts)


@pytest.mark.parametrize("since", ["17", "0-0", "9" * 20 + "-1", "a-1", "1-1-1", "-", "+", "$"])
def test_id_that_was_never_given_is_a_gap_and_all_that_is_kept(stations: Make, since: str) -> None:
    station = stations(history=3)
    room = next(_rooms)
    say(station, room, "a", "b")
    wait_until(lambda: len(station.hub.history(room)) == 2)
    reader = join(station, room, since=since)
    wait_until(lambda: reader.texts == ["a", "b"])
    assert reader.said[0] == {"room": room, "gap": True}


def test_what_is_no_message_in_a_stream_is_dropped_and_counted(redis: RedisServer, stations: Make) -> None:
    station = stations(history=10)
    reader = join(station, "junk")
    client = redis.client()
    client.xadd("ws4py:history:junk", {"m": b"\x80\x04pickled", "p": "0-1"})
    client.xadd("ws4py:history:junk", {"other": b""})
    channel = "ws4py:0:room:junk"
    for wire in (
        b"\x02",
        b"\x02\xff",
        b"\x02\x000",
        b"\x02\x0317-",
        b"\x02\x03ab-" + b"\x01\x01" * 20,
        b"\x03",
    ):
        client.publish(channel, wire)
    say(station, "junk", "good")
    wait_until(lambda: reader.texts == ["good"])
    late = join(station, "junk", since=reader.said[0]["id"])
    wait_until(lambda: late.texts == ["good"])
    assert station.stat("malformed") >= 8
    client.close()


def test_script_that_redis_has_forgotten_is_sent_again(redis: RedisServer, stations: Make) -> None:
    station = stations(history=100)
    reader = join(station, "scripts")
    client = redis.client()
    for number in range(5):
        client.script_flush()
        say(station, "scripts", number)
        wait_until(lambda: len(reader.texts) == number + 1)  # noqa: B023
    assert reader.texts == ["0", "1", "2", "3", "4"]
    client.close()


def test_redis_that_keeps_nothing_more_still_publishes(fragile: RedisServer) -> None:
    one, two = (Station(fragile.url, history=100) for _ in range(2))
    here, there = join(one, "full"), join(two, "full")
    client = fragile.client()
    client.config_set("maxmemory", "1mb")
    say(one, "full", "a")
    wait_until(lambda: here.texts == there.texts == ["a"])
    assert set(here.said[-1]) == {"room", "key", "data"}
    client.config_set("maxmemory", "0")
    say(one, "full", "b")
    wait_until(lambda: here.texts == there.texts == ["a", "b"])
    assert [kept.data for kept in one.hub.history("full")] == ["b"]
    client.close()
    one.hub.close()
    two.hub.close()


def test_members_here_hear_each_other_while_redis_is_away_and_all_is_kept_later(fragile: RedisServer) -> None:
    one, two = (Station(fragile.url, history=100) for _ in range(2))
    here, there, plain = join(one, "red"), join(two, "red"), Guest()
    one.hub.join(plain, "red")
    say(one, "red", 0)
    wait_until(lambda: len(there.texts) == len(here.texts) == 1)
    fragile.kill()
    wait_until(lambda: not one.backplane.is_connected and not two.backplane.is_connected)
    began = time.monotonic()
    say(one, "red", 1, 2)
    wait_until(lambda: here.texts == ["0", "1", "2"])
    assert time.monotonic() - began < 0.5
    keys = [one["key"] for one in here.said[-2:]]
    assert all("id" not in one for one in here.said[-2:])
    fragile.start()
    wait_until(lambda: here.texts == ["0", "1", "2", "1", "2"])
    again = [one for one in here.said if "data" in one][-2:]
    assert [one["key"] for one in again] == keys
    assert all("id" in one for one in again)
    wait_until(lambda: there.texts[-2:] == ["1", "2"])
    assert [one.get("key") for one in there.said if "data" in one][-2:] == keys
    say(two, "red", 3)
    wait_until(lambda: plain.heard == [b"0", b"1", b"2", b"3"])
    assert here.texts[-1] == there.texts[-1] == "3"
    # What was kept before is gone with that Redis, and so nobody knows whether something is missing.
    assert {"room": "red", "gap": True} in here.said
    one.hub.close()
    two.hub.close()


def test_process_that_has_lost_its_redis_catches_its_members_up(fragile: RedisServer) -> None:
    """Its connections are cut; others publish meanwhile."""
    one, two = (Station(fragile.url, history=1000) for _ in range(2))
    client, plain = Client("red"), Guest()
    client.connect(one.hub)
    one.hub.join(plain, "red")
    wait_until(lambda: client.position is not None)
    admin = fragile.client()
    stop = threading.Event()
    numbers = itertools.count()

    def talk() -> None:
        while not stop.is_set():
            say(two, "red", next(numbers))
            time.sleep(0.002)

    talker = threading.Thread(target=talk)
    talker.start()
    for _ in range(3):
        before = one.stat("outages")
        own = {info["id"] for info in admin.client_list() if info["name"] == "ws4py_middleware"}
        for number in sorted(own, key=int)[:3]:
            admin.client_kill_filter(_id=number)
        wait_until(lambda: one.stat("outages") > before or two.stat("outages") > 0)  # noqa: B023
        wait_until(lambda: one.backplane.is_connected and two.backplane.is_connected)
        time.sleep(0.2)
    stop.set()
    talker.join()
    total = next(numbers)
    wait_until(lambda: client.texts[-1:] == [str(total - 1)])
    check_heard(client.heard)
    assert client.heard == [str(number) for number in range(total)]
    wait_until(lambda: plain.heard == [str(number).encode() for number in range(total)])
    admin.close()
    one.hub.close()
    two.hub.close()


def test_redis_that_hangs_keeps_members_of_one_process_apart_for_a_moment_only(fragile: RedisServer) -> None:
    station = Station(fragile.url, history=100)
    client, plain = Client("red"), Guest()
    client.connect(station.hub)
    station.hub.join(plain, "red")
    wait_until(lambda: client.position is not None)
    fragile.pause()
    try:
        began = time.monotonic()
        say(station, "red", 0)
        wait_until(lambda: client.texts == ["0"])
        say(station, "red", 1)
        wait_until(lambda: client.texts == ["0", "1"])
        assert time.monotonic() - began < 4
    finally:
        fragile.resume()
    say(station, "red", 2)
    wait_until(lambda: [kept.data for kept in station.hub.history("red")] == ["0", "1", "2"])
    wait_until(lambda: client.position == station.hub.history("red")[-1].id)
    assert client.heard == ["0", "1", "2"]
    assert plain.heard == [b"0", b"1", b"2"]
    station.hub.close()


def test_message_that_was_kept_although_its_answer_got_lost_is_kept_once(
    redis: RedisServer, stations: Make
) -> None:
    """What is sent again has its number, and the script knows that."""
    station = stations(history=100)
    reader = join(station, "twice")
    session = station.backplane._session
    assert session is not None
    say(station, "twice", 0)
    wait_until(lambda: len(reader.texts) == 1)
    item = session._pack("twice", b"1", True, ())
    client = redis.client()
    assert client.execute_command(*item.command()) is not None
    assert client.execute_command(*item.command()) is None
    wait_until(lambda: reader.texts == ["0", "1"])
    assert client.xlen("ws4py:history:twice") == 2
    client.close()


def test_history_that_was_emptied_is_a_gap_and_goes_on(redis: RedisServer, stations: Make) -> None:
    station = stations(history=100)
    reader = join(station, "emptied")
    say(station, "emptied", 0)
    wait_until(lambda: len(reader.texts) == 1)
    client = redis.client()
    client.delete("ws4py:history:emptied", "ws4py:last:emptied")
    late = join(station, "emptied", since=reader.said[-1]["id"])
    wait_until(lambda: len(late.said) == 2)
    assert late.said[0] == {"room": "emptied", "gap": True}
    say(station, "emptied", 1)
    wait_until(lambda: reader.texts == ["0", "1"] and late.texts == ["1"])
    client.close()


def test_redis_that_has_lost_the_last_messages_is_a_gap_for_who_has_heard_them(fragile: RedisServer) -> None:
    station = Station(fragile.url, history=100)
    reader, plain = join(station, "red"), Guest()
    station.hub.join(plain, "red")
    say(station, "red", 0, 1)
    wait_until(lambda: reader.texts == ["0", "1"])
    admin = fragile.client()
    admin.save()
    say(station, "red", 2, 3)
    wait_until(lambda: reader.texts == ["0", "1", "2", "3"])
    known = [one["id"] for one in reader.said]
    fragile.kill()
    wait_until(lambda: not station.backplane.is_connected)
    fragile.start()
    wait_until(lambda: {"room": "red", "gap": True} in reader.said)
    say(station, "red", 4)
    wait_until(lambda: reader.texts[-1] == "4")
    assert reader.texts == ["0", "1", "2", "3", "4"]
    assert [kept.data for kept in station.hub.history("red")] == ["0", "1", "4"]
    lost, late = join(station, "red", since=known[3]), join(station, "red", since=known[2])
    wait_until(lambda: lost.texts == ["4"] and late.texts == ["4"])
    assert lost.said[0] == {"room": "red", "gap": True}
    assert set(late.said[0]) == {"room", "id", "key", "data"}
    assert plain.heard == [b"0", b"1", b"2", b"3", b"4"]
    admin.close()
    station.hub.close()


@pytest.mark.parametrize("policy", ["raise", "wait"])
def test_members_here_have_the_message_also_when_publish_raises(fragile: RedisServer, policy: str) -> None:
    station = Station(fragile.url, history=100, queue_policy=policy, publish_timeout=0.3)
    reader, plain = join(station, "red"), Guest()
    station.hub.join(plain, "red")
    session = station.backplane._session
    assert session is not None
    fragile.kill()
    wait_until(lambda: session._is_away)
    with pytest.raises(ConnectionError):
        station.hub.publish("red", "hello")
    assert reader.texts == ["hello"]
    assert plain.heard == [b"hello"]
    with pytest.raises(ConnectionError):
        station.hub.history("red")
    with pytest.raises(ValueError, match="at most 1048576 bytes"):
        station.hub.publish("red", "x" * 2_000_000)
    assert len(reader.texts[-1]) == 2_000_000
    station.hub.close()


def test_who_joins_while_redis_is_away_begins_when_it_is_back(fragile: RedisServer) -> None:
    one, two = (Station(fragile.url, history=100) for _ in range(2))
    say(two, "red", 0)
    wait_until(lambda: len(one.hub.history("red")) == 1)
    known = one.hub.history("red")[0].id
    fragile.pause()
    new, old = Reader(), Reader()
    one.hub.join(new, "red", envelope=True)
    one.hub.join(old, "red", since=known, envelope=True)
    fragile.resume()
    say(two, "red", 1)
    wait_until(lambda: old.texts == ["1"])
    say(two, "red", 2)
    wait_until(lambda: old.texts == ["1", "2"] and new.texts[-1:] == ["2"])
    one.hub.close()
    two.hub.close()


def test_hub_that_closes_while_members_catch_up_leaves_no_thread(fragile: RedisServer) -> None:
    before = set(threading.enumerate())
    station = Station(fragile.url, history=5000)
    say(station, "red", *range(3000))
    wait_until(lambda: len(station.hub.history("red", limit=5000)) == 3000)
    since = station.hub.history("red", limit=5000)[0].id
    readers = [Reader() for _ in range(20)]
    for reader in readers:
        station.hub.join(reader, "red", since=since, envelope=True)
    wait_until(lambda: bool(readers[0].said))
    station.hub.close()
    wait_until(lambda: set(threading.enumerate()) <= before)
    station.hub.publish("red", "more")  # it begins anew
    wait_until(lambda: all(reader.texts[-1:] == ["more"] for reader in readers))
    for reader in readers:
        assert reader.texts == [*map(str, range(1, 3000)), "more"]
    station.hub.close()


def test_forked_child_has_a_history_of_its_own_reading(redis: RedisServer, stations: Make) -> None:
    station = stations(history=100)
    reader = join(station, "fork")
    say(station, "fork", "parent")
    wait_until(lambda: reader.texts == ["parent"])
    since = reader.said[0]["id"]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            mine = Reader()
            station.hub.join(mine, "fork", since=since, envelope=True)
            station.hub.publish("fork", "child")
            deadline = time.monotonic() + 5
            while len(mine.texts) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            os.write(write, " ".join(mine.texts).encode())
            station.hub.close()
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"parent child"
    os.waitpid(child, 0)
    wait_until(lambda: reader.texts == ["parent", "child"])


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_whatever_happens_clients_hear_all_in_order_or_of_a_gap(
    redis: RedisServer, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    room = next(_rooms)
    hubs = [Hub(RedisBackplane(redis.url, history=count)) for _ in range(2)]
    admin = redis.client()
    clients = [Client(room) for _ in range(3)]
    published = 0
    for _ in range(60):
        client = chance.choice(clients)
        match chance.randrange(9):
            case 0 | 1 if client.is_connected:
                client.disconnect()
            case 2 | 3 if not client.is_connected:
                client.connect(chance.choice(hubs))
            case 4:
                admin.xtrim(f"ws4py:history:{room}", maxlen=chance.randrange(3), approximate=False)
            case 5:
                time.sleep(chance.random() * 0.005)
            case _:
                # By one of them: two at once have no order.
                hubs[0].publish(room, str(published))
                published += 1
    for client in clients:
        if not client.is_connected:
            client.connect(hubs[0])
        wait_until(lambda: client.position is not None)  # noqa: B023
    hubs[0].publish(room, str(published))
    for client in clients:
        wait_until(lambda: client.texts[-1:] == [str(published)])  # noqa: B023
        check_heard(client.heard)
    for hub in hubs:
        hub.close()
    admin.close()
