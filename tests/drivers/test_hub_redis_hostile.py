"""Rooms in a Redis that others write to."""

from __future__ import annotations

import contextlib
import pickle
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.drivers.guests import Guest
from tests.drivers.hubs import Station, redis, stations
from tests.drivers.peer import wait_until
from tests.drivers.redisserver import RedisServer
from ws4py_middleware.hub.parcels import Parcel, pack_parcel

__all__ = ["redis", "stations"]

pytestmark = pytest.mark.redis
Make = Callable[..., Station]
ORIGIN = b"somebody"
CHANNEL = "ws4py:0:room:red"


@pytest.fixture
def client(redis: RedisServer) -> Iterator[Any]:
    client = redis.client()
    yield client
    client.close()


class Bomb:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return pytest.fail, ("a payload was unpickled",)


def test_what_is_no_message_is_dropped_counted_and_logged_once(
    client: Any, stations: Make, caplog: pytest.LogCaptureFixture
) -> None:
    one = stations(max_message_size=1000)
    ann = one.join("red")
    good = pack_parcel(Parcel(ORIGIN, 1, b"x" * 1000, True))
    bad = [
        b"",
        pickle.dumps(Bomb()),
        b"__import__('os').abort()",
        b'{"type": "chat.message"}',
        good + b"y",
        good[:-1] + b"\xff",
        b"\x09" + good[1:],
    ]
    for wire in (*bad, *bad, good):
        client.publish(CHANNEL, wire)
    wait_until(lambda: bool(ann.received))
    assert ann.heard == [b"x" * 1000]
    assert (one.stat("malformed"), one.stat("received")) == (2 * len(bad), 1)
    assert len([text for text in caplog.messages if "no message of a hub" in text]) == 1
    assert "__import__" not in caplog.text


def test_message_that_is_too_long_goes_to_no_other_process(stations: Make) -> None:
    one, two = stations(max_message_size=10), stations()
    ann, bob = one.join("red"), two.join("red")
    with pytest.raises(ValueError, match=r"at most 10 bytes \(max_message_size\); this has 11"):
        one.hub.publish("red", "x" * 11)
    two.hub.publish("red", "y" * 11)
    two.hub.publish("red", "z" * 10)
    wait_until(lambda: b"z" * 10 in ann.heard)
    assert ann.heard == [b"x" * 11, b"z" * 10]
    assert bob.heard == [b"y" * 11, b"z" * 10]
    assert one.stat("malformed") == 1


def test_message_that_comes_twice_is_delivered_once(client: Any, stations: Make) -> None:
    one = stations()
    ann = one.join("red")
    for number in (1, 2, 2, 1, 3):
        client.publish(CHANNEL, pack_parcel(Parcel(ORIGIN, number, b"%d" % number, True)))
    wait_until(lambda: ann.heard[-1:] == [b"3"])
    assert ann.heard == [b"1", b"2", b"3"]
    assert one.stat("repeated") == 2


def test_members_that_make_no_sense_are_left_out(client: Any, stations: Make) -> None:
    one, two = stations(), stations()
    one.join("red", {"name": "Ann"})
    wait_until(lambda: two.infos("red") == [{"name": "Ann"}])
    (field,) = client.hkeys("ws4py:members:red")
    origin = field.partition(b":")[0]
    bad = {
        b"no colon": b"[1, {}]",
        origin + b":": b"[1, {}]",
        origin + b":1": b"[1, []]",
        origin + b":2": b'["x", {}]',
        origin + b":3": pickle.dumps(Bomb()),
        origin + b":4": b"[" * 1000,
        origin + b":5": b'[1, {"x": "' + b"x" * 2000 + b'"}]',
        origin + b":\xff": b"[1, {}]",
        origin + b":6": b"[1]",
        origin + b":7": b"[null, {}]",
    }
    client.hset("ws4py:members:red", mapping=bad)
    client.hset("ws4py:members:red", "unheard-of:1", "[1, {}]")
    assert two.infos("red") == [{"name": "Ann"}]
    assert two.stat("malformed") == len(bad)
    # What nobody alive has written is removed; what cannot be read is nobody's.
    assert not client.hexists("ws4py:members:red", "unheard-of:1")
    assert one.infos("red") == [{"name": "Ann"}]


def test_key_of_another_kind_costs_only_presence(
    client: Any, stations: Make, caplog: pytest.LogCaptureFixture
) -> None:
    client.set("ws4py:members:blue", "not a hash")
    one, two = stations(), stations()
    ann, bob = one.join("blue"), two.join("blue")
    one.hub.publish("blue", "hello")
    wait_until(lambda: bob.heard == [b"hello"])
    assert [member.websocket for member in one.hub.members("blue")] == [ann]
    wait_until(lambda: "has refused" in caplog.text)
    assert one.backplane.is_connected
    assert two.backplane.is_connected
    client.delete("ws4py:members:blue")


def test_connections_that_are_cut_are_made_again(client: Any, stations: Make) -> None:
    one, two = stations(), stations()
    ann, bob = one.join("red"), two.join("red")
    for kind in ("pubsub", "normal"):
        client.client_kill_filter(_type=kind, skipme=True)
        wait_until(lambda: two.stat("outages") >= 1)
        wait_until(lambda: _arrives(one, bob.heard, kind.encode()))  # noqa: B023
        wait_until(lambda: _arrives(two, ann.heard, kind.encode()))  # noqa: B023


def _arrives(station: Station, heard: list[bytes], text: bytes) -> bool:
    station.hub.publish("red", text.decode())
    return text in heard


#: What answers, in the place of a Redis.
GARBAGE = {
    "a web server": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a string that never ends": b"$99999999999\r\nabc",
    "a list of nothing": b"*1000000000\r\n",
    "a length below nothing": b"*-7\r\n",
    "no number": b":abc\r\n",
    "no length": b"$abc\r\n",
    "zeros": bytes(1000),
    "the same answer to everything": b"+OK\r\n" * 100,
    "lists in lists": b"*1\r\n" * 5000,
    "errors": b"-ERR no\r\n" * 50,
    "what was not asked for": b"*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n" * 50,
}


class Garbage(socketserver.BaseRequestHandler):
    """Answers whatever comes."""

    def handle(self) -> None:
        server: Any = self.server
        server.visits += 1
        with contextlib.suppress(OSError):
            while self.request.recv(65536):
                self.request.sendall(server.answer)


@pytest.mark.parametrize("kind", GARBAGE)
def test_what_is_no_redis_harms_nobody(stations: Make, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Garbage) as server:
        server.daemon_threads, server.block_on_close = True, False
        server.answer, server.visits = GARBAGE[kind], 0  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = server.server_address[1]
        one = stations(f"redis://127.0.0.1:{port}?socket_timeout=0.2", publish_timeout=0.1)
        ann = Guest()
        one.hub.join(ann, "red", {"name": "Ann"})
        # Who is agreeable is believed to be a Redis; nothing is heard of it.
        visits = 2 if kind == "the same answer to everything" else 6
        wait_until(lambda: server.visits >= visits)  # type: ignore[attr-defined]
        assert one.hub.publish("red", "hello") == 1
        assert ann.heard == [b"hello"]
        assert one.infos("red") == [{"name": "Ann"}]
        assert not one.backplane.is_connected
        one.hub.close()
        server.shutdown()
    # Each of the two connections speaks of it once.
    assert len([text for text in caplog.messages if "unexpected error" in text]) <= 2
