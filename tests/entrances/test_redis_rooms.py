"""Rooms across the workers of a real server, as foreign clients see them."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.drivers.hubs import redis
from tests.drivers.peer import wait_until
from tests.drivers.redisserver import RedisServer
from tests.servers import ROOT, Server, paused, start
from tests.servers.live import child_pids
from ws4py_middleware.hub.presence import Keys
from ws4py_middleware.hub.redis import RedisBackplane

__all__ = ["redis"]

pytestmark = pytest.mark.redis
APP = "tests.entrances.redis_rooms_app:app"
WORKERS = 4
Enter = Callable[[], "Visitor"]


@pytest.fixture(
    scope="module",
    params=[("gunicorn-gthread", ("--preload",)), ("gunicorn-gevent", ())],
    ids=["gthread, preloaded", "gevent"],
)
def server(
    request: pytest.FixtureRequest, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    kind, options = request.param
    env = {"ROOMS_REDIS_URL": redis.url}
    # The later one counts.
    options = ("--workers", str(WORKERS), "--timeout", "60", *options)
    with start(kind, APP, env=env, options=options, directory=tmp_path_factory.mktemp(kind)) as server:
        wait_until(lambda: len(child_pids(server.process.pid)) == WORKERS)
        yield server
        log = server.log
    assert "Traceback" not in log, log


class Visitor:
    """A foreign client."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[str] = []

    def ask(self, **request: Any) -> Any:
        """Ask for something; what was published before the answer came is kept."""
        self.socket.send(json.dumps(request))
        while True:
            text = self.socket.recv(timeout=10)
            assert isinstance(text, str)
            if text.startswith('{"answer"'):
                return json.loads(text)["answer"]
            self.heard.append(text)

    def hear(self, count: int) -> list[str]:
        """Wait until so many messages have come, since the beginning."""
        while len(self.heard) < count:
            text = self.socket.recv(timeout=10)
            assert isinstance(text, str)
            self.heard.append(text)
        return self.heard


@pytest.fixture
def enter(server: Server) -> Iterator[Enter]:
    with contextlib.ExitStack() as stack:
        yield lambda: Visitor(stack.enter_context(connect(server.ws_url + "/ws", compression=None)))


def join_all(enter: Enter, server: Server, room: str) -> list[Visitor]:
    """Let two visitors come in at each worker, and wait until all of them hear each other."""
    visitors: list[Visitor] = []
    workers = child_pids(server.process.pid)
    for worker in 2 * workers:
        with paused(set(workers) - {worker}):  # so that nobody else takes the connection
            visitors.append(enter())
        visitors[-1].ask(join=room, info={"number": len(visitors)})
    wait_until(lambda: len(visitors[0].ask(members=room)) == len(visitors))
    # A room is subscribed a moment after it was joined.
    for visitor in visitors:
        wait_until(lambda: _is_heard_by_all(visitor, visitors, room))  # noqa: B023
    for visitor in visitors:
        visitor.ask()
        visitor.heard.clear()
    return visitors


def _is_heard_by_all(visitor: Visitor, visitors: list[Visitor], room: str) -> bool:
    text = f"{time.monotonic_ns()}"
    visitor.ask(publish=room, text=text)
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        for other in visitors:
            other.ask()
        if all(text in other.heard for other in visitors):
            return True
    return False


def test_members_of_all_workers_hear_everybody_once_and_in_order(server: Server, enter: Enter) -> None:
    visitors = join_all(enter, server, "all")
    names = ["one", "two", "three"]
    for visitor, name in zip(visitors, names, strict=False):
        visitor.ask(burst="all", count=400, name=name)
    for visitor in visitors:
        heard = visitor.hear(1200)
        for name in names:
            assert [text for text in heard if text.split()[0] == name] == [f"{name} {n}" for n in range(400)]
    for visitor in visitors:
        visitor.ask()
        assert len(visitor.heard) == 1200


def test_view_publishes_to_members_of_all_workers(server: Server, enter: Enter) -> None:
    visitors = join_all(enter, server, "view")
    assert server.http("/say?room=view&text=from+a+view").status == 200
    assert all(visitor.hear(1) == ["from a view"] for visitor in visitors)


def test_members_and_their_leaving_are_seen_everywhere(server: Server, enter: Enter) -> None:
    visitors = join_all(enter, server, "who")
    everyone = [{"number": number + 1} for number in range(len(visitors))]
    for visitor in visitors:
        assert sorted(visitor.ask(members="who"), key=lambda info: info["number"]) == everyone
    visitors.pop().socket.close()
    visitors[-1].ask(leave="who")
    for visitor in visitors:
        wait_until(lambda: len(visitor.ask(members="who")) == len(everyone) - 2)  # noqa: B023


def test_worker_that_is_killed_takes_its_members_with_it(server: Server, enter: Enter) -> None:
    visitors = join_all(enter, server, "killed")
    os.kill(child_pids(server.process.pid)[0], signal.SIGKILL)
    left = [visitor for visitor in visitors if _is_there(visitor)]
    assert len(left) == len(visitors) - 2
    for visitor in left:
        wait_until(lambda: len(visitor.ask(members="killed")) == len(left))  # noqa: B023
        visitor.heard.clear()
    left[0].ask(publish="killed", text="still here")
    assert all(visitor.hear(1) == ["still here"] for visitor in left)
    wait_until(lambda: len(child_pids(server.process.pid)) == WORKERS)


def _is_there(visitor: Visitor) -> bool:
    try:
        visitor.ask()
    except (ConnectionClosed, OSError):
        return False
    return True


def test_workers_go_on_without_redis_and_find_it_again(
    server: Server, redis: RedisServer, enter: Enter
) -> None:
    visitors = join_all(enter, server, "away")
    redis.kill()
    assert visitors[0].ask(publish="away", text="local") >= 1
    assert visitors[0].hear(1) == ["local"]
    redis.start()
    began = time.monotonic()
    assert all(visitor.hear(1) == ["local"] for visitor in visitors)
    assert time.monotonic() - began < 1.0 + 1.0  # a second, and what a busy machine adds
    for visitor in visitors:
        wait_until(lambda: len(visitor.ask(members="away")) == len(visitors))  # noqa: B023


def test_page_has_every_setting_with_its_default_and_every_key() -> None:
    page = (ROOT / "docs" / "howto" / "scaling-with-redis.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)`(?:, `\w+`)? \| (.*?) \|", page, re.MULTILINE))
    settings = inspect.signature(RedisBackplane).parameters
    said = {
        "queue_policy": '`"drop-oldest"`',
        "publish_timeout": "2 s",
        "max_message_size": "1 MiB",
        "max_queue": "1000, 8 MiB",
        "presence_timeout": "30 s",
        "prefix": '`"ws4py"`',
        "history_timeout": "1 day",
    }
    assert {name: rows.get(name) for name in said} == said
    assert set(settings) == {"url", "max_queue_size", "history", *said}
    values = [settings[name].default for name in said]
    assert values == ["drop-oldest", 2.0, 1_048_576, 1000, 30.0, "ws4py", 86_400.0]
    assert settings["max_queue_size"].default == 8 * 1_048_576
    keys = Keys("ws4py", 0)
    for key in (
        keys.channel("<room>"),
        keys.control(b""),
        keys.members("<room>"),
        keys.alive("<id>"),
        keys.hubs,
    ):
        assert f"`{key.decode()}" in page
