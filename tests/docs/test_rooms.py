"""docs/howto/rooms.md, scaling-with-redis.md and replay.md: their applications do what is said of them."""

from __future__ import annotations

import re
import runpy
import shlex
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.docs.pages import CODE, read_page
from tests.drivers.redisserver import RedisServer, redis_server
from tests.servers import Server, child_pids, paused, start, wait_for
from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.hub import Hub, get_hub, set_hub
from ws4py_middleware.hub.members import MAX_INFO, MAX_ROOM
from ws4py_middleware.hub.redis import RedisBackplane
from ws4py_middleware.messaging import Message

ROOMS = read_page("howto/rooms")
SCALING = read_page("howto/scaling-with-redis")


def post(url: str, text: bytes) -> bytes:
    request = urllib.request.Request(url, text, method="POST")
    with urllib.request.urlopen(request, timeout=5) as response:
        return bytes(response.read())


def test_application_is_a_chat_that_says_who_is_here() -> None:
    with start("gunicorn-gthread", "docs.code.rooms.app:app", options=["--preload"]) as server:
        url = f"{server.ws_url}/chat/lobby"
        with connect(f"{url}?Ada", proxy=None) as ada:
            assert ada.recv(timeout=5) == "here now: Ada"
            with connect(f"{url}?Bob", proxy=None) as bob:
                for client in (ada, bob):
                    assert client.recv(timeout=5) == "here now: Ada, Bob"
                bob.send("hello")
                assert ada.recv(timeout=5) == "Bob: hello"
                assert post(f"{server.url}/announce/lobby", b"lunch") == b"2"
                assert [ada.recv(timeout=5), bob.recv(timeout=5)] == ["lunch", "lunch"]
            assert ada.recv(timeout=5) == "here now: Ada"
        assert "Traceback" not in server.log


def test_page_names_the_limits_and_all_that_a_hub_has() -> None:
    words = " ".join(ROOMS.split())
    assert f"1 to {MAX_ROOM} characters" in words
    assert f"at most {MAX_INFO // 1024} KiB" in words
    assert f"in {Hub.max_rooms:,} rooms" in words
    text = ROOMS + read_page("howto/replay")
    for name, method in vars(Hub).items():
        if callable(method) and name[0] != "_" and name not in ("deliver", "leave", "leave_all", "close"):
            assert f"hub.{name}(" in text, name


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.mark.redis
def test_room_is_one_in_all_workers_of_the_command(redis: RedisServer) -> None:
    (line,) = re.findall(r"^\$ REDIS_URL=\S+ gunicorn (.*) app:app$", SCALING, re.MULTILINE)
    with start(
        "gunicorn-gthread",
        "docs.code.scaling_with_redis.app:app",
        options=[*shlex.split(line), "--preload"],  # what is imported once is there sooner
        env={"REDIS_URL": redis.url},
    ) as server:
        count = int(line.split("--workers ")[1].split()[0])
        wait_for(lambda: len(child_pids(server.process.pid)) == count, what="all workers")
        workers = set(child_pids(server.process.pid))
        with ExitStack() as stack, redis.client() as client:
            members: list[ClientConnection] = []
            for worker in workers:
                with paused(workers - {worker}):  # so that nobody else takes the connection
                    url = f"{server.ws_url}/chat/lobby"
                    members.append(stack.enter_context(connect(url, proxy=None)))

            def is_everywhere() -> bool:
                return bool(client.pubsub_numsub("ws4py:0:room:lobby")[0][1] == count)

            wait_for(is_everywhere, 20, "the room in all workers")
            members[0].send("everybody?")
            assert [member.recv(timeout=10) for member in members] == ["everybody?"] * count
        assert "Traceback" not in server.log


@pytest.fixture
def hub() -> Iterator[None]:
    """Let the process have the hub again that it had."""
    before = get_hub()
    yield
    set_hub(before)


@pytest.mark.usefixtures("hub")
def test_settings_of_the_backplane_are_taken() -> None:
    runpy.run_path(str(CODE / "scaling_with_redis" / "settings.py"))
    backplane = get_hub()._backplane
    assert isinstance(backplane, RedisBackplane)


@pytest.mark.usefixtures("hub")
def test_histories_keep_what_is_said_of_them() -> None:
    hubs = runpy.run_path(str(CODE / "replay" / "histories.py"))
    assert get_hub() is hubs["by_number"]
    for number in range(150):
        hubs["by_number"].publish("lobby", str(number))
        hubs["by_room"].publish("chat/lobby", str(number))
        hubs["by_room"].publish("lobby", str(number))
    assert [each.data for each in hubs["by_number"].history("lobby", limit=1000)][:1] == ["50"]
    assert [each.data for each in hubs["by_room"].history("chat/lobby")][:1] == ["100"]
    assert hubs["by_room"].history("lobby") == []


@pytest.fixture(scope="module")
def prices() -> Iterator[Server]:
    with start("gunicorn-gthread", "docs.code.replay.app:app") as server:
        yield server
        assert "Traceback" not in server.log


class Listener(WebSocketClient):
    """Keeps what it hears."""

    def opened(self) -> None:
        self.heard: list[str] = [*getattr(self, "heard", [])]

    def received_message(self, message: Message) -> None:
        self.heard.append(str(message))


def test_client_that_was_away_gets_what_was_missed(prices: Server) -> None:
    client = Listener(prices.ws_url + "/prices", ["ws4py.replay.v1"])
    for price in ("1.00", "2.00"):
        client.connect()
        wait_for(lambda: "prices" in client.positions, what="its place in the room")
        post(prices.url + "/publish", price.encode())
        wait_for(lambda: price in client.heard, what="the price")  # noqa: B023
        client.close()
        client.run_forever()
        post(prices.url + "/publish", f"missed after {price}".encode())
    client.connect()
    expected = ["1.00", "missed after 1.00", "2.00", "missed after 2.00"]
    wait_for(lambda: client.heard == expected, what="all of them")
    client.close()
    client.run_forever()
