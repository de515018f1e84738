"""A thousand members of one room, over four workers and a Redis: each message reaches each once, in order."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.hubs import redis
from tests.drivers.peer import wait_until
from tests.drivers.redisserver import RedisServer
from tests.faults.audience import read_each
from tests.promises.attacker import Peer, allow_many_descriptors, upgrade
from tests.promises.wire import PING, PONG, TEXT, frame
from tests.servers import ROOT, Server, child_pids, paused, start
from ws4py_middleware.hub.presence import Keys

__all__ = ["redis"]

pytestmark = pytest.mark.redis
APP = "tests.entrances.crowd_app:app"
WORKERS, MEMBERS = 4, 1000
SHARE = MEMBERS // WORKERS
COUNT = 30
ROOM = "all"


@pytest.fixture(params=["gunicorn-gthread", "gunicorn-gevent"])
def server(request: pytest.FixtureRequest, redis: RedisServer, tmp_path: Path) -> Iterator[Server]:
    allow_many_descriptors()
    env = {"ROOMS_REDIS_URL": redis.url}
    options = ("--workers", str(WORKERS), "--timeout", "60")
    with start(request.param, APP, env=env, options=options, directory=tmp_path) as server:
        wait_until(lambda: len(child_pids(server.process.pid)) == WORKERS)
        yield server
        log = server.log
    assert "Traceback" not in log, log


@contextlib.contextmanager
def crowd(server: Server, redis: RedisServer) -> Iterator[list[Peer]]:
    """Let as many come in at each worker, and wait until all workers have subscribed."""
    workers = child_pids(server.process.pid)
    with contextlib.ExitStack() as stack:
        members: list[Peer] = []
        for worker in workers:
            with paused(set(workers) - {worker}):  # so that nobody else takes the connections
                here = [stack.enter_context(upgrade(server, "/member")) for _ in range(SHARE)]
                for member in here:
                    member.send(frame(PING))
                    assert member.read_frame().opcode == PONG  # it has joined
            members += here
        client = stack.enter_context(contextlib.closing(redis.client()))
        channel = Keys("ws4py", 0).channel(ROOM)
        wait_until(lambda: client.pubsub_numsub(channel) == [(channel, WORKERS)])
        yield members


def hear(members: list[Peer], count: int, timeout: float) -> list[list[str]]:
    """Read until each has so many messages."""
    heard: dict[Peer, list[str]] = {member: [] for member in members}

    def take(member: Peer) -> bool:
        while (found := member.take_frame()) is not None:
            if found.opcode == PING:  # a slow machine is so slow that the server asks who is still there
                member.send(frame(PONG, found.payload))
                continue
            assert found.opcode == TEXT, found
            heard[member].append(found.payload.decode())
        return len(heard[member]) >= count

    read_each(members, take, timeout)
    return list(heard.values())


def test_thousand_members_of_four_workers_hear_every_publisher_once_and_in_order(
    server: Server, redis: RedisServer
) -> None:
    environ = {**os.environ, "ROOMS_REDIS_URL": redis.url}
    command = [sys.executable, "-m", "tests.entrances.crowd_app"]
    with crowd(server, redis) as members:
        speakers = {f"member{number}": members[number] for number in range(0, MEMBERS, SHARE)}
        with subprocess.Popen([*command, "background", str(COUNT)], cwd=ROOT, env=environ) as background:
            for name, member in speakers.items():
                member.send(frame(TEXT, f"{name} {COUNT}".encode()))
            assert server.http(f"/say?view+{COUNT}").status == 200
        assert background.returncode == 0
        names = [*speakers, "background", "view"]
        total = len(names) * COUNT
        everything = hear(members, total, timeout=20)
        subprocess.run([*command, "end", "1"], cwd=ROOT, env=environ, check=True)
        ends = hear(members, 1, timeout=10)
    assert ends == [["end 0"]] * MEMBERS  # so nothing came twice
    expected = {f"{name} {number}" for name in names for number in range(COUNT)}
    for heard in everything:
        assert Counter(heard) == Counter(expected)
        for name in names:
            assert [one for one in heard if one.split()[0] == name] == [f"{name} {n}" for n in range(COUNT)]
