"""Rooms under each manager: threads, greenlets, an asyncio loop with both kinds of hooks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.drivers.contract import Host
from tests.drivers.greenlets import GreenletHost
from tests.drivers.peer import Recorder, wait_until
from tests.drivers.tasks import TaskHost
from tests.drivers.test_tasks_async import AsyncRecorder
from tests.drivers.threads import ThreadHost
from ws4py_middleware.hub import Hub

HOSTS: dict[str, tuple[Callable[[], Host], type[Recorder]]] = {
    "threads": (ThreadHost, Recorder),
    "greenlets": (GreenletHost, Recorder),
    "tasks": (TaskHost, Recorder),
    "tasks-async": (TaskHost, AsyncRecorder),
}


@contextlib.contextmanager
def open_host(name: str) -> Iterator[tuple[Host, type[Recorder]]]:
    """Have a manager for a while, and the kind of handler that belongs to it; no thread of it stays."""
    before = set(threading.enumerate())
    make, kind = HOSTS[name]
    host = make()
    yield host, kind
    host.close()
    if not isinstance(host, GreenletHost):  # gevent's pool of threads stays
        wait_until(lambda: set(threading.enumerate()) <= before)


class House:
    """A manager, its kind of handler, and a hub."""

    def __init__(self, host: Host, kind: type[Recorder], hub: Hub) -> None:
        self.host = host
        self.kind = kind
        self.hub = hub

    def enter(
        self, recorder: Recorder, rooms: tuple[str, ...], *, since: str | None = None, **options: Any
    ) -> Any:
        """Let somebody in, who joins rooms when it is connected; return the other end."""
        recorder.hub = self.hub

        def join() -> None:
            for room in rooms:
                recorder.join(room, since=since)

        recorder.on_opened = join  # type: ignore[method-assign]
        peer = self.host.connect(recorder, **options)
        # Not before opened() has returned: who is closed within join() is not in the room behind it.
        self.host.wait_until(lambda: self.hub.rooms_of(recorder) == list(rooms) and not recorder._inside)
        return peer
