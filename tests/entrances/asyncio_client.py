"""A loop for a test of clients, which has to be left as it was found."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import uvloop

from tests.drivers.peer import wait_until

_T = TypeVar("_T")


def run(coroutine: Coroutine[Any, Any, _T], loop: str = "asyncio") -> _T:
    """Run a coroutine in a loop of its own; it must leave no task, no socket, and no complaint."""
    problems: list[dict[str, Any]] = []

    async def main() -> _T:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        result = await coroutine
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    if loop == "uvloop":
        uvloop.new_event_loop().close()  # it keeps two descriptors of its own, from the first one on
    before = count_sockets()
    try:
        return uvloop.run(main()) if loop == "uvloop" else asyncio.run(main())
    finally:
        gc.collect()  # what complains of being left complains now
        wait_until(lambda: count_sockets() <= before)  # the server may be in this process, too
        assert problems == []


def count_sockets() -> int:
    """Count what is open; not what a server's thread opens for itself, which may be about to."""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
    return count


@contextmanager
def resolving(*addresses: tuple[int, Any]) -> Iterator[list[Any]]:
    """Let the running loop look up names here; the names that were asked for are returned."""
    asked: list[Any] = []
    loop = asyncio.get_running_loop()

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> list[Any]:
        asked.append(host)
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses]

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
    yield asked
    del loop.getaddrinfo
