"""Rooms across hubs, through a Redis that is well."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from tests.drivers.guests import Guest
from tests.drivers.hubs import Station, redis, stations
from tests.drivers.peer import wait_until
from tests.drivers.redisserver import RedisServer, redis_server
from tests.servers.tls import certificates
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.redis import RedisBackplane

__all__ = ["redis", "stations"]

pytestmark = pytest.mark.redis
Make = Callable[..., Station]


def test_members_elsewhere_get_what_is_published(redis: RedisServer, stations: Make) -> None:
    one, two = stations(), stations(redis.tcp_url)
    ann, bob, eve = one.join("red"), two.join("red"), two.join("blue")
    assert one.hub.publish("red", "hello") == 1
    assert two.hub.publish("red", b"\xff\x00") == 1
    wait_until(lambda: len(ann.received) == len(bob.received) == 2)
    assert sorted(ann.received) == sorted(bob.received) == [(b"hello", True), (b"\xff\x00", False)]
    assert eve.received == []


def test_room_of_any_name_and_empty_message(stations: Make) -> None:
    one, two = stations(), stations()
    for room in ("ü", ":", "a room\r\n*", "😀" * 200):
        guest = two.join(room)
        one.hub.publish(room, "")
        wait_until(lambda: guest.received == [(b"", True)])  # noqa: B023


def test_publisher_without_any_websocket_is_heard(stations: Make) -> None:
    bob = stations().join("red")
    command = stations()
    assert command.hub.publish("red", "from a job") == 0
    command.hub.close()  # as the end of the process does
    wait_until(lambda: bob.heard == [b"from a job"])


def test_exclude_reaches_members_elsewhere(stations: Make) -> None:
    one, two = stations(), stations()
    ann, bob, eve = one.join("red"), two.join("red"), two.join("red")
    out = two.hub.members("red")[0]
    assert out.websocket is bob
    one.hub.publish("red", "not for Bob", exclude=[out.id, "nobody", "\ud800", "x" * 300])
    wait_until(lambda: bool(eve.received))
    one.hub.publish("red", "for all")
    wait_until(lambda: len(eve.received) == 2)
    assert bob.heard == [b"for all"]
    assert ann.heard == [b"not for Bob", b"for all"]


def test_order_of_each_publisher_is_kept_and_each_message_comes_once(stations: Make) -> None:
    one, two, three = stations(), stations(), stations()
    guests = [station.join("red") for station in (one, two, three)]

    def talk(station: Station, name: str) -> None:
        for number in range(3000):
            station.hub.publish("red", f"{name} {number}")

    talkers = [threading.Thread(target=talk, args=pair) for pair in ((one, "one"), (two, "two"))]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    for guest in guests:
        wait_until(lambda: len(guest.received) >= 6000)  # noqa: B023
        for name in (b"one", b"two"):
            numbers = [int(data.split()[1]) for data in guest.heard if data.startswith(name)]
            assert numbers == list(range(3000))
    assert one.stat("dropped") == two.stat("dropped") == 0


def test_room_is_no_longer_heard_when_the_last_has_left(redis: RedisServer, stations: Make) -> None:
    one = stations()
    ann, bob = one.join("red"), one.join("red")
    one.hub.leave(ann, "red")
    client = redis.client()
    assert len(client.pubsub_channels("*:room:red")) == 1
    one.hub.leave(bob, "red")
    wait_until(lambda: one.stat("rooms") == 0)
    assert client.pubsub_channels("*:room:red") == []
    client.close()


def test_who_joins_and_says_so_hears_the_answer(stations: Make) -> None:
    one, two = stations(), stations()

    class Host(Guest):
        def deliver(self, message: PreparedMessage, /) -> bool:
            room = bytes(message.data).decode()
            two.hub.publish(room, "welcome")
            return super().deliver(message)

    two.hub.join(Host(), "hall")
    two.wait_ready()
    one.join("somewhere")
    for number in range(300):
        guest = Guest()
        one.hub.join(guest, f"room {number}")
        one.hub.publish("hall", f"room {number}")
        wait_until(lambda: guest.heard == [b"welcome"])  # noqa: B023


def test_prefix_and_database_keep_applications_apart(redis: RedisServer, stations: Make) -> None:
    here, there, elsewhere = stations(), stations(prefix="other"), stations(redis.tcp_url + "/1")
    guests = [station.join("red") for station in (here, there, elsewhere)]
    for station, text in ((here, "1"), (there, "2"), (elsewhere, "3")):
        station.hub.publish("red", text)
        station.hub.close()
    assert [guest.heard for guest in guests] == [[b"1"], [b"2"], [b"3"]]


def test_presence_is_seen_elsewhere_and_goes(stations: Make) -> None:
    one, two = stations(), stations()
    ann, _ = one.join("red", {"name": "Ann"}), one.join("red", {"name": "Bob"})
    eve = two.join("red", {"name": "Eve"})
    wait_until(lambda: two.infos("red") == [{"name": "Eve"}, {"name": "Ann"}, {"name": "Bob"}])
    one.hub.join(ann, "red", {"name": "Anna", "roles": ["ü"]})
    wait_until(lambda: two.infos("red")[1] == {"name": "Anna", "roles": ["ü"]})
    one.hub.leave(ann, "red")
    wait_until(lambda: two.infos("red") == [{"name": "Eve"}, {"name": "Bob"}])
    one.hub.close()
    assert two.infos("red") == [{"name": "Eve"}]
    two.hub.leave(eve, "red")
    assert two.hub.members("red") == stations().hub.members("red") == []


def test_backplane_that_is_started_again_has_its_members(stations: Make) -> None:
    one, two = stations(), stations()
    ann = one.join("red", {"name": "Ann"})
    one.hub.close()
    one.hub.close()
    two.hub.publish("red", "missed")
    two.wait_ready()
    one.hub.publish("red", "here")
    one.wait_ready()
    two.hub.publish("red", "heard")
    wait_until(lambda: b"heard" in ann.heard)
    wait_until(lambda: two.infos("red") == [{"name": "Ann"}])


def test_forked_child_has_connections_of_its_own(stations: Make) -> None:
    one, two = stations(), stations()
    ann, bob = one.join("red"), two.join("red")
    pid = os.fork()
    if not pid:  # pragma: no cover - in the child
        code = 1
        try:
            child = Guest()
            assert not one.backplane.is_connected
            assert one.backplane.members("red") == {}
            one.hub.join(child, "red")
            one.wait_ready()
            one.hub.publish("red", "from the child")
            one.hub.close()
            code = 0 if child.heard == [b"from the child"] else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    wait_until(lambda: ann.heard == bob.heard == [b"from the child"])
    one.hub.publish("red", "from the parent")
    wait_until(lambda: bob.heard == [b"from the child", b"from the parent"])


def test_asyncio_publishes_and_hears(stations: Make) -> None:
    one, two = stations(queue_policy="wait"), stations()
    bob = two.join("red")

    async def talk() -> None:
        for number in range(100):
            one.hub.publish("red", str(number))

    asyncio.run(talk())
    wait_until(lambda: len(bob.received) == 100)


def test_tls_with_an_authority_of_ones_own() -> None:
    with redis_server(tls=True, password="secret") as server:
        url = f"rediss://:secret@localhost:{server.port}?ssl_ca_certs={certificates()[2]}"
        one, two = Station(url), Station(url)
        ann = two.join("red")
        one.hub.publish("red", "hello")
        wait_until(lambda: ann.heard == [b"hello"])
        assert "secret" not in repr(one.backplane)
        one.hub.close()
        two.hub.close()


def test_hub_takes_a_url(redis: RedisServer, stations: Make) -> None:
    bob = stations().join("red")
    hub = Hub(redis.url)
    hub.publish("red", "hello")
    hub.close()
    wait_until(lambda: bob.heard == [b"hello"])


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("http://:secret@localhost", {}, "begins with redis://"),
        ("localhost:6379", {}, "begins with redis://"),
        ("redis://", {"queue_policy": "hope"}, "drop-oldest, raise, wait"),
        ("redis://", {"max_queue": 0}, "max_queue is more than 0"),
        ("redis://", {"presence_timeout": -1}, "presence_timeout is more than 0"),
        ("redis://", {"prefix": "a:b"}, "without a colon"),
    ],
)
def test_what_makes_no_sense_is_refused(url: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        RedisBackplane(url, **options)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


def test_missing_redis_py_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.connection", None)
    with pytest.raises(ImportError, match=r"pip install \"ws4py_middleware\[redis\]\""):
        Hub("redis://localhost")


def test_backplane_without_a_hub_says_so() -> None:
    backplane = RedisBackplane("redis://")
    with pytest.raises(ConnectionError, match="publish by the hub"):
        backplane.publish("red", b"x", True)
    with pytest.raises(RuntimeError, match="its hub starts it"):
        backplane.stats()


def test_end_of_the_interpreter_sends_what_was_published(redis: RedisServer, stations: Make) -> None:
    bob = stations().join("red")
    code = (
        "from ws4py_middleware.hub import Hub\n"
        f"hub = Hub({redis.url!r})\n"
        "for number in range(500): hub.publish('red', str(number))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30)
    wait_until(lambda: [int(data) for data in bob.heard] == list(range(500)))


def test_greenlets_publish_and_hear(redis: RedisServer, stations: Make) -> None:
    bob = stations().join("red")
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import gevent\n"
        "from tests.drivers.hubs import Station\n"
        f"station = Station({redis.url!r})\n"
        "guest = station.join('red')\n"
        "beats = []\n"
        "def beat():\n"
        "    while True: gevent.sleep(0.01); beats.append(1)\n"
        "gevent.spawn(beat)\n"
        "def talk(name):\n"
        "    for number in range(1000): station.hub.publish('red', f'{name} {number}')\n"
        "gevent.joinall([gevent.spawn(talk, name) for name in 'abc'])\n"
        "assert len(guest.heard) == 3000 and station.stat('dropped') == 0\n"
        "Station.join(station, 'blue')\n"
        "assert beats, 'the loop was blocked'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    wait_until(lambda: len(bob.heard) == 3000)
    for name in (b"a", b"b", b"c"):
        numbers = [int(data.split()[1]) for data in bob.heard if data.startswith(name)]
        assert numbers == list(range(1000))
