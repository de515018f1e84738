"""
One room over four workers and a Redis: how many deliveries there are in a second, and what each costs.

The members are one C program (``c/members.c``), which checks and counts what each of them hears; it shares a
core with the publisher, a process without a WebSocket. All workers and the Redis share the other core.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.apps.rooms import PATH
from benchmarks.load import LoadError, build
from benchmarks.machine import Cores, pinned
from benchmarks.measure import cpu_time, ran, tree
from benchmarks.results import Sample
from benchmarks.scenarios import Window
from benchmarks.servers import ROOT, Server, ServerError, gunicorn, running

__all__ = ["COLUMNS", "CONTENDERS", "DISTRIBUTIONS", "INTRO", "SERVERS", "measure_rooms"]

WORKERS = 4
MEMBERS = 1000
#: Messages that are published as fast as possible, before all of them are awaited.
BURST = 150
#: Messages in a second where latency is measured, and how many there are.
RATE = 2
PACED = 8
#: Seconds of silence after which what has not come is lost.
QUIET = 2.0

COLUMNS = {
    "deliveries_per_second": "deliveries a second",
    "cpu_us": "CPU µs a delivery, workers",
    "redis_us": "… Redis",
    "lost_percent": "lost, %",
    "p50_ms": "latency, median ms",
    "p99_ms": "… 99th percentile",
    "rate_lost_percent": "… lost, %",
}
INTRO = f"""{MEMBERS:,} members of one room are spread over {WORKERS} workers, which share a Redis. A process
without a WebSocket publishes messages of 64 B: first in bursts, {BURST} as fast as it can, and the next ones
when all have come or nothing has come for {QUIET:g} s. Then it publishes {RATE} a second, evenly; latency is
from before its call until a member has the message. The members are one program in C, which checks that each
gets each message once and in order. It has a core together with the publisher; the workers have the other one
together with the Redis.

Every library is set up as its own documentation has it, and publishes in its own way. channels_redis drops
what is beyond 100 messages in a channel by default (`capacity`). What a member misses whose connection the
server has ended is lost as well. Flask-SocketIO is asked for WebSockets only, since gunicorn cannot bring all
requests of a client that polls to one worker.
"""
DISTRIBUTIONS = [
    "ws4py_middleware",
    "gunicorn",
    "gevent",
    "redis",
    "channels",
    "channels_redis",
    "Django",
    "uvicorn",
    "uvloop",
    "websockets",
    "Flask-SocketIO",
    "python-socketio",
    "python-engineio",
    "gevent-websocket",
]


@dataclass(frozen=True)
class Contender:
    """A server, and how one publishes to its members and what they hear."""

    server: Server
    publisher: str
    prefix: str = ""
    suffix: str = ""


def _ours(name: str, title: str, worker: str, *options: str, **environ: str) -> Contender:
    command = gunicorn("rooms_ours", worker, "--workers", str(WORKERS), *options)
    needs = ("gunicorn", "redis", *(["gevent"] if worker == "gevent" else []))
    server = Server(name, f"**ours**, gunicorn {title}", command, needs, True, path=PATH, environ=environ)
    return Contender(server, "ours")


def _channels(name: str, layer: str) -> Contender:
    def command(port: int, connections: int) -> list[str]:
        base = [sys.executable, "-m", "uvicorn", "benchmarks.apps.rooms_channels:app", "--port", str(port)]
        return [*base, "--workers", str(WORKERS)]

    needs = ("channels", "channels_redis", "uvicorn", "uvloop", "httptools", "websockets")
    title = f"Django Channels, {layer.rpartition('.')[2]}, uvicorn"
    server = Server(name, title, command, needs, True, path=PATH, environ={"ROOMS_LAYER": layer})
    return Contender(server, "channels")


def _socketio() -> Contender:
    worker = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"
    server = Server(
        "socketio",
        "Flask-SocketIO, gunicorn with gevent-websocket's worker",
        gunicorn("rooms_socketio", worker, "--workers", str(WORKERS)),
        ("Flask-SocketIO", "gevent-websocket", "gunicorn", "redis"),
        True,
        path="/socket.io/?EIO=4&transport=websocket",
    )
    return Contender(server, "socketio", '42["message","', '"]')


CONTENDERS = [
    _ours("rooms-gthread", "gthread, 2 threads", "gthread", "--threads", "2"),
    _ours("rooms-gevent", "gevent", "gevent"),
    _ours("rooms-sync", "sync", "sync"),
    _ours("rooms-history", "gthread, `history=100`", "gthread", "--threads", "2", ROOMS_HISTORY="100"),
    _channels("channels", "channels_redis.core.RedisChannelLayer"),
    _channels("channels-pubsub", "channels_redis.pubsub.RedisPubSubChannelLayer"),
    _socketio(),
]
SERVERS = [contender.server for contender in CONTENDERS]


class _Talk:
    """A process that answers line by line."""

    def __init__(self, command: Sequence[str], core: int | None, environ: dict[str, str]) -> None:
        with pinned(core):
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
        self._name = Path(command[0]).name if len(command) < 3 else command[2]
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def __enter__(self) -> _Talk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._thread.join()
        self._process.communicate()

    def say(self, line: str) -> None:
        """Write a line."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
        except BrokenPipeError:
            raise LoadError(f"{self._name} has ended") from None

    def hear(self, timeout: float) -> str:
        """Wait for a line, `timeout` seconds at most."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise LoadError(f"{self._name}: no answer within {timeout:g} s") from None
        if not line:
            raise LoadError(f"{self._name} has ended")
        return line


@dataclass
class _Stage:
    """The members and the publisher, and how many messages there have been."""

    members: _Talk
    publisher: _Talk
    published: int = 0
    missing: int = 0

    def publish(self, count: int, pause: float = 0.0, quiet: float = QUIET) -> dict[str, Any]:
        """Publish so many messages, and return what the members heard of them."""
        self.members.say(f"expect {self.published} {count} {quiet}")
        self.members.hear(10)
        self.publisher.say(f"{self.published} {count} {pause}")
        self.published += count
        began, ended = map(int, self.publisher.hear(120).split())
        heard: dict[str, Any] = json.loads(self.members.hear(120))
        if heard["late"] > self.missing:  # what was given up before may come; all else was there already
            heard["repeated"] += heard["late"]
        for wrong in ("repeated", "disordered"):
            if heard[wrong]:
                raise LoadError(f"{heard[wrong]} deliveries are {wrong}")
        if heard["dead"] and not heard["trouble"].startswith("the server has"):
            raise LoadError(heard["trouble"])
        self.missing += heard["expected"] - heard["received"] - heard["late"]
        return {**heard, "began_ns": began, "ended_ns": ended}

    def begin(self, timeout: float = 30.0) -> None:
        """Publish until all members hear it."""
        deadline = time.monotonic() + timeout
        while (heard := self.publish(1, quiet=0.5))["received"] < MEMBERS:
            if heard["dead"] or time.monotonic() > deadline:
                what = heard["trouble"] or f"after {timeout:g} s"
                raise LoadError(f"not all members hear the room: {what}")
        self.publish(20)


def measure_rooms(server: Server, window: Window, cores: Cores) -> Sample:
    """Start a Redis, the server, the members and the publisher; measure; stop all of it."""
    contender = next(contender for contender in CONTENDERS if contender.server is server)
    try:
        with contextlib.ExitStack() as stack:
            return Sample("rooms", server.name, _measure(contender, window, cores, stack))
    except (ServerError, LoadError) as error:
        return Sample("rooms", server.name, error=str(error))


def _measure(
    contender: Contender, window: Window, cores: Cores, stack: contextlib.ExitStack
) -> dict[str, float]:
    from tests.drivers.redisserver import PROGRAMS, redis_server

    if not any(map(shutil.which, PROGRAMS)):
        raise ServerError(f"no {PROGRAMS[0]}: install it (Debian: apt install redis-server)")
    with pinned(cores.server):
        redis = stack.enter_context(redis_server())
    ready = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    environ = {**contender.server.environ, "ROOMS_REDIS": redis.tcp_url + "/0", "ROOMS_READY": str(ready)}
    at = stack.enter_context(running(replace(contender.server, environ=environ), MEMBERS, cores))
    _wait(lambda: len(list(ready.iterdir())) >= WORKERS, 30.0, "not all workers are ready")
    program = [str(build("members")), "-p", str(at.port), "-n", str(MEMBERS), "-u", contender.server.path]
    program += ["-x", contender.prefix, "-y", contender.suffix]
    members = stack.enter_context(_Talk(program, cores.load, dict(os.environ)))
    answer = json.loads(members.hear(90))
    if answer["in"] < MEMBERS:
        raise LoadError(f"{answer['in']} of {MEMBERS} members came in. {answer['trouble']}")
    speaker = [sys.executable, "-m", "benchmarks.apps.rooms_publisher", contender.publisher]
    stage = _Stage(members, stack.enter_context(_Talk(speaker, cores.load, {**os.environ, **environ})))
    stage.begin()
    workers = [pid for pid in at.pids if pid in map(int, (path.name for path in ready.iterdir()))]
    spread = [len(os.listdir(f"/proc/{pid}/fd")) for pid in workers]
    if min(spread) < MEMBERS // WORKERS // 10:
        raise LoadError(f"the members are not spread over the workers, which have {spread} descriptors")
    return {**_saturate(stage, window.seconds, at.pids, redis.pid), **_pace(stage)}


def _wait(condition: Callable[[], bool], timeout: float, problem: str) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise ServerError(problem)
        time.sleep(0.05)


def _saturate(stage: _Stage, seconds: float, workers: list[int], redis: int) -> dict[str, float]:
    """Publish in bursts."""
    trees = [pid for worker in workers for pid in tree(worker)]
    deadline = time.monotonic() + seconds
    before = cpu_time(trees).total, ran([redis])
    bursts: list[dict[str, Any]] = []
    while time.monotonic() < deadline or not bursts:
        bursts.append(stage.publish(BURST))
    after = cpu_time(trees).total, ran([redis])
    received = sum(burst["received"] for burst in bursts)
    taken = sum(burst["last_ns"] - burst["began_ns"] for burst in bursts) / 1e9
    if not received:
        raise LoadError("nothing came")
    used = [(later - earlier) * 1e6 / received for later, earlier in zip(after, before, strict=True)]
    return {
        "deliveries_per_second": received / taken,
        "cpu_us": used[0],
        "redis_us": used[1],
        "lost_percent": 100.0 - 100.0 * received / (len(bursts) * BURST * MEMBERS),
        "thrown_out": float(bursts[-1]["dead"]),
        "bursts": float(len(bursts)),
        "publishing_share": sum(burst["ended_ns"] - burst["began_ns"] for burst in bursts) / 1e9 / taken,
    }


def _pace(stage: _Stage) -> dict[str, float]:
    """Publish evenly."""
    heard = stage.publish(PACED, 1 / RATE)
    return {
        "p50_ms": heard["p50_us"] / 1000,
        "p99_ms": heard["p99_us"] / 1000,
        "max_ms": heard["max_us"] / 1000,
        "rate_lost_percent": 100.0 - 100.0 * heard["received"] / heard["expected"],
    }
