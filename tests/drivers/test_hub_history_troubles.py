"""Histories in a Redis that has forgotten its scripts, or has something else in their place."""

from __future__ import annotations

import functools
import itertools
import logging
import threading

import pytest

from tests.drivers.hubs import redis, stations
from tests.drivers.peer import wait_until
from tests.drivers.readers import Reader
from tests.drivers.redisserver import RedisServer
from tests.drivers.test_hub_history_redis import Make, join, say
from ws4py_middleware.hub.outages import Complaints
from ws4py_middleware.hub.redis_history import KeptItem
from ws4py_middleware.hub.redis_session import _ask

__all__ = ["redis", "stations"]

pytestmark = pytest.mark.redis


def test_message_is_kept_once_also_by_a_redis_that_was_restarted_before_it_answered(
    redis: RedisServer, stations: Make
) -> None:
    """It has forgotten the script then, and not the message."""
    station = stations(history=100)
    reader = join(station, "restarted")
    session = station.backplane._session
    assert session is not None
    assert session.kept is not None
    say(station, "restarted", 0)
    wait_until(lambda: len(reader.texts) == 1)
    items = [session._pack("restarted", text, True, ()) for text in (b"1", b"2")]
    client = redis.client()
    connection = client.connection_pool.make_connection()
    connection.connect()
    ask = functools.partial(_ask, connection)
    assert len(ask([items[0].command()])) == 1
    client.script_flush()
    for item in items:
        assert isinstance(item, KeptItem)
        item.mark_late()
    answers = ask([item.command() for item in items])
    assert session.kept.mend(ask, items, answers, itertools.count(100)) == []
    wait_until(lambda: reader.texts == ["0", "1", "2"])
    assert client.xlen("ws4py:history:restarted") == 3
    connection.disconnect()
    client.close()


def test_message_that_is_kept_is_not_told_without_an_id(
    stations: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its echo was missed: it came before the room was subscribed to."""
    station = stations(history=100)
    reader, heard = join(station, "unheard"), join(station, "heard")
    session = station.backplane._session
    assert session is not None
    assert session.kept is not None
    channel = session._keys.channel("unheard")
    session._listener._wanted.pop(channel)
    monkeypatch.setattr(session._listener, "wants", lambda _: True)
    say(station, "unheard", 0)
    say(station, "heard", "behind it")  # on the same two connections
    wait_until(lambda: heard.texts == ["behind it"])
    session._listener._wanted[channel] = "unheard"
    elsewhere = stations(history=100)
    say(elsewhere, "unheard", 1)
    wait_until(lambda: reader.texts == ["1"])
    session.kept.lose()
    assert reader.texts == ["1"]
    session.kept.ready("unheard")
    late = join(station, "unheard", since="0")
    wait_until(lambda: late.texts == ["0", "1"])


def test_room_that_cannot_be_read_keeps_no_other_one_waiting(
    redis: RedisServer, stations: Make, caplog: pytest.LogCaptureFixture
) -> None:
    station = stations(history=100)
    say(station, "readable", 0, 1)
    wait_until(lambda: len(station.hub.history("readable")) == 2)
    client = redis.client()
    client.set("ws4py:history:other", "no stream")
    stuck, reader = Reader(), Reader()
    station.hub.join(stuck, "other", since="0", envelope=True)
    wait_until(lambda: "a history could not be read" in caplog.text)
    station.hub.join(reader, "readable", since="0", envelope=True)
    wait_until(lambda: reader.texts == ["0", "1"])
    say(station, "other", "as it is")
    wait_until(lambda: stuck.texts == ["as it is"])
    client.delete("ws4py:history:other")
    say(station, "other", "kept")
    wait_until(lambda: stuck.texts == ["as it is", "kept"])
    client.close()


def test_complaint_may_be_interrupted_by_one() -> None:
    """By that of the handler of a signal."""
    complaints = Complaints(logging.getLogger("ws4py_middleware"))

    def interrupt() -> None:
        with complaints._lock:
            complaints.tell("dropped", "messages are dropped")

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
