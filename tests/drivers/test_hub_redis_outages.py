"""Rooms while the Redis is killed, paused, and back again."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

import pytest

from tests.drivers.hubs import Station, fragile, redis, stations
from tests.drivers.peer import wait_until
from tests.drivers.redisserver import RedisServer

__all__ = ["fragile", "redis", "stations"]

pytestmark = pytest.mark.redis
Make = Callable[..., Station]


def wait_away(*some: Station) -> None:
    for station in some:
        wait_until(lambda: station.backplane._session._is_away)  # type: ignore[union-attr] # noqa: B023


def test_local_members_go_on_and_others_get_what_was_kept(
    fragile: RedisServer, stations: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one, two = stations(fragile.url), stations(fragile.tcp_url)
    ann, bob = one.join("red", {"name": "Ann"}), two.join("red", {"name": "Bob"})
    fragile.kill()
    wait_away(one, two)
    assert one.hub.publish("red", "while it was away") == 1
    two.hub.join(ann, "blue")
    one.hub.join(bob, "blue", {"name": "late"})
    assert ann.heard == [b"while it was away"]
    assert one.infos("red") == [{"name": "Ann"}]
    assert not one.backplane.is_connected
    fragile.start()
    began = time.monotonic()
    wait_until(lambda: bob.heard == [b"while it was away"])
    assert time.monotonic() - began < 1.0 + 0.5  # a second, and what a busy machine adds
    one.wait_ready()
    two.wait_ready()
    wait_until(lambda: two.infos("blue") == [{}, {"name": "late"}])
    assert one.infos("red") == [{"name": "Ann"}, {"name": "Bob"}]
    for number in range(10):
        two.hub.publish("red", str(number))
    wait_until(lambda: len(ann.heard) == 11)
    assert one.stat("outages") == two.stat("outages") == 1
    # One line of each station, when it went; and one when it came back.
    assert len([text for text in caplog.messages if "is away" in text]) == 2
    assert len([text for text in caplog.messages if "is back" in text]) == 2


def test_nothing_is_lost_doubled_or_disordered_when_it_is_only_paused(
    fragile: RedisServer, stations: Make
) -> None:
    # So short a timeout that what was sent into the pause is sent again, by another connection.
    one = stations(fragile.url + "?socket_timeout=0.3")
    two = stations(fragile.url)
    bob = two.join("red")
    one.hub.publish("red", "0")
    wait_until(lambda: bool(bob.heard))
    fragile.pause()
    for number in range(1, 500):
        one.hub.publish("red", str(number))
    wait_away(one)
    fragile.resume()
    wait_until(lambda: len(bob.heard) >= 500)
    one.hub.publish("red", "500")
    wait_until(lambda: len(bob.heard) > 500)
    assert [int(data) for data in bob.heard] == list(range(501))
    assert one.stat("dropped") == 0


def test_silence_is_asked_about(
    fragile: RedisServer, stations: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ws4py_middleware.hub.redis_listener._SILENCE", 0.2)
    one = stations(fragile.url)
    one.join("red")
    client = fragile.client()
    wait_until(lambda: client.client_list(_type="pubsub")[0]["cmd"] == "ping")
    client.close()
    assert one.backplane.is_connected
    fragile.pause()
    wait_until(lambda: "no answer to a PING" in caplog.text)
    fragile.resume()
    one.wait_ready()
    assert one.stat("outages") == 1


def test_queue_is_bounded_and_drops_the_oldest(
    fragile: RedisServer, stations: Make, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = stations(fragile.url, max_queue_size=100_000), stations(fragile.url)
    bob, ann = two.join("red"), one.join("red")
    fragile.kill()
    wait_away(one, two)
    for number in range(1500):
        one.hub.publish("red", str(number))
    assert (one.stat("queued"), one.stat("dropped")) == (1000, 500)
    for number in range(100):
        one.hub.publish("red", b"%04d" % number + bytes(9_996))
    assert one.stat("queued_bytes") <= 100_000
    assert one.stat("queued") == 9
    assert one.stat("dropped") == 1591
    assert len(ann.heard) == 1600
    fragile.start()
    wait_until(lambda: len(bob.heard) == 9)
    assert [int(data[:4]) for data in bob.heard] == list(range(91, 100))
    assert len([text for text in caplog.messages if "are dropped" in text]) == 1


def test_raise_tells_the_publisher_and_keeps_nothing(fragile: RedisServer, stations: Make) -> None:
    one, two = stations(fragile.url, queue_policy="raise"), stations(fragile.url)
    ann, bob = one.join("red"), two.join("red")
    one.hub.publish("red", "before")
    wait_until(lambda: bob.heard == [b"before"] and one.stat("queued") == 0)
    fragile.kill()
    wait_away(one, two)
    with pytest.raises(ConnectionError, match=r"was not kept; the Redis at unix://.* is away"):
        one.hub.publish("red", "lost elsewhere")
    assert ann.heard == [b"before", b"lost elsewhere"]
    assert one.stat("queued") == 0
    fragile.start()
    one.wait_ready()
    two.wait_ready()
    one.hub.publish("red", "after")
    wait_until(lambda: bob.heard == [b"before", b"after"])


def test_raise_when_too_much_waits(fragile: RedisServer, stations: Make) -> None:
    one = stations(fragile.url, queue_policy="raise", max_queue=5)
    one.join("red")
    fragile.pause()
    for _ in range(5):
        one.hub.publish("red", "x")
    with pytest.raises(ConnectionError, match="too much waits"):
        one.hub.publish("red", "x")
    assert one.stat("dropped") == 0
    fragile.resume()
    wait_until(lambda: one.stat("queued") == 0)


def test_wait_waits_until_redis_has_it_and_no_longer(fragile: RedisServer, stations: Make) -> None:
    one = stations(fragile.url, queue_policy="wait", publish_timeout=0.2)
    two = stations(fragile.url)
    bob = two.join("red")
    one.hub.publish("red", "taken")
    assert one.stat("sent") == 1
    fragile.kill()
    wait_away(one, two)
    with pytest.raises(ConnectionError, match=r"was not taken within 0.2 s; the Redis at .* is away"):
        one.hub.publish("red", "withdrawn")
    assert one.stat("queued") == 0
    fragile.start()
    one.wait_ready(0)
    two.wait_ready()
    wait_until(lambda: _publishes(one, "after"))
    wait_until(lambda: bob.heard[-1:] == [b"after"])
    assert b"withdrawn" not in bob.heard


def _publishes(station: Station, text: str) -> bool:
    with contextlib.suppress(ConnectionError):
        station.hub.publish("red", text)
        return True
    return False


def test_wait_goes_on_when_redis_does(fragile: RedisServer, stations: Make) -> None:
    one, two = stations(fragile.url, queue_policy="wait", publish_timeout=20), stations(fragile.url)
    bob = two.join("red")
    one.hub.publish("red", "before")
    wait_until(lambda: bob.heard == [b"before"])
    fragile.kill()
    wait_away(one, two)
    talker = threading.Thread(target=one.hub.publish, args=("red", "during"))
    talker.start()
    wait_until(lambda: one.stat("queued") == 1)
    fragile.start()
    talker.join(10)
    assert not talker.is_alive()
    # Which of the two is back first nobody knows, and what comes before somebody listens is nobody's.
    wait_until(lambda: one.stat("sent") == 2)
    wait_until(lambda: two.backplane.is_connected and two.stat("rooms") == 1)
    one.hub.publish("red", "after")
    wait_until(lambda: bob.heard[-1] == b"after")


def test_members_of_a_process_that_is_gone_vanish(redis: RedisServer, stations: Make) -> None:
    one, two = stations(presence_timeout=0.5), stations(presence_timeout=0.5)
    one.join("red", {"name": "Ann"})
    two.join("red", {"name": "Bob"})
    wait_until(lambda: len(two.infos("red")) == 2)
    # It lives on for more than its time.
    began = time.monotonic()
    while time.monotonic() - began < 1.2:
        assert two.infos("red") == [{"name": "Bob"}, {"name": "Ann"}]
    _stop_beating(one)
    wait_until(lambda: two.infos("red") == [{"name": "Bob"}])
    client = redis.client()
    wait_until(lambda: len(client.hgetall("ws4py:members:red")) == 1)
    client.close()


def _stop_beating(station: Station) -> None:
    """Let it end as by a kill: without a word, and with what it has in Redis."""
    session = station.backplane._session
    assert session is not None
    session._presence.ending = lambda: [("PING",)]  # type: ignore[method-assign]
    station.hub.close()


def test_presence_that_redis_has_lost_is_told_again(redis: RedisServer, stations: Make) -> None:
    one, two = stations(presence_timeout=0.5), stations()
    one.join("red", {"name": "Ann"})
    wait_until(lambda: two.infos("red") == [{"name": "Ann"}])
    client = redis.client()
    client.flushall()
    client.close()
    wait_until(lambda: two.infos("red") == [{"name": "Ann"}])


def test_who_comes_and_goes_during_an_outage_leaves_nothing_behind(
    fragile: RedisServer, stations: Make
) -> None:
    one = stations(fragile.url)
    ann = one.join("red")
    fragile.kill()
    wait_away(one)
    for number in range(100):
        one.hub.join(ann, f"room {number}")
        one.hub.leave(ann, f"room {number}")
    session = one.backplane._session
    assert session is not None
    wait_until(lambda: not session._listener._news)
    assert not session._presence
    fragile.start()
    one.wait_ready()
    client = fragile.client()
    wait_until(lambda: client.keys("ws4py:members:*") == [b"ws4py:members:red"])
    assert len(client.pubsub_channels("ws4py:0:room:*")) == 1
    client.close()


def test_members_of_a_paused_redis_are_asked_for_only_briefly(fragile: RedisServer, stations: Make) -> None:
    one = stations(fragile.url)
    ann = one.join("red")
    fragile.pause()
    began = time.monotonic()
    for _ in range(1000):
        assert [member.websocket for member in one.hub.members("red")] == [ann]
    assert time.monotonic() - began < 3.0
    fragile.resume()
    two = stations(fragile.url)
    two.join("red")
    wait_until(lambda: len(one.hub.members("red")) == 2)


def test_close_does_not_wait_long_for_a_redis_that_is_away(fragile: RedisServer, stations: Make) -> None:
    one, two, three = (stations(fragile.url, publish_timeout=0.3) for _ in range(3))
    for station in (one, two, three):
        station.join("red")
    fragile.pause()
    began = time.monotonic()
    one.hub.close()
    two.hub.publish("red", "x")
    two.hub.close()
    fragile.kill()
    wait_away(three)
    three.hub.publish("red", "x")
    three.hub.close()
    assert time.monotonic() - began < 5.0
    began = time.monotonic()
    never = Station("redis://127.0.0.1:1")
    never.hub.members("red")
    never.hub.close()
    assert time.monotonic() - began < 3.0


def test_redis_that_answers_after_the_end_harms_nobody(
    fragile: RedisServer, stations: Make, caplog: pytest.LogCaptureFixture
) -> None:
    one = stations(fragile.url, publish_timeout=0.1)
    one.join("red")
    fragile.pause()
    for _ in range(10):
        one.hub.publish("red", "x")
    one.hub.close()
    fragile.resume()
    wait_until(lambda: _count_threads() == 0)
    assert "error" not in caplog.text


def _count_threads() -> int:
    return sum(thread.name.startswith("ws4py-hub") for thread in threading.enumerate())


def test_threads_end_with_the_hub(redis: RedisServer, stations: Make) -> None:
    wait_until(lambda: _count_threads() == 0)
    one = stations()
    one.join("red")
    assert _count_threads() == 2
    one.hub.close()
    wait_until(lambda: _count_threads() == 0)
