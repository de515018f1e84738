"""A Redis, and a gunicorn whose rooms are in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.drivers.redisserver import RedisServer, redis_server
from tests.faults.harness import Margin, Watched, start_watched
from tests.faults.traffic import Traffic

__all__ = ["ROOMS", "ROOMS_MARGIN", "start_rooms"]

ROOMS = "tests.faults.rooms_app:app"
#: As many connections to the Redis remain as were used at the same time to ask who is in a room, and of
#: gunicorn's two threads the second one begins when it is first needed.
ROOMS_MARGIN = Margin(fds=2, threads=1)


@contextlib.contextmanager
def start_rooms(kind: str, *, workers: int, **options: Any) -> Iterator[tuple[Watched, RedisServer]]:
    """Start both, with rooms that have been used by everybody."""
    with redis_server(options=("--enable-debug-command", "local")) as redis:
        env = {"ROOMS_REDIS_URL": redis.url}
        with start_watched(kind, ROOMS, workers=workers, env=env, **options) as watched:
            with Traffic(watched):
                pass
            yield watched, redis
