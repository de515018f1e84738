"""The client for asyncio, in a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.clients.session import BOUND, Call, Kind
from ws4py_middleware.client.asyncclient import AsyncWebSocketClient


@contextlib.contextmanager
def loop_in_a_thread() -> Iterator[Call]:
    """Live in a loop; at the end there is no task left."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="clients' loop", daemon=True)
    thread.start()

    async def do(function: Callable[..., Any], args: Any, options: Any) -> Any:
        result = function(*args, **options)
        return await result if inspect.isawaitable(result) else result

    def call(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(do(function, args, options), loop).result(4 * BOUND)

    try:
        yield call
        assert not (left := call(find_left)), f"there are tasks left, or sockets: {left}"
    finally:
        call(loop.shutdown_default_executor)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(BOUND)
        loop.close()


async def find_left() -> list[object]:
    """Return the tasks, and sockets that are polled, which are not gone within a second."""
    loop: Any = asyncio.get_running_loop()
    deadline = loop.time() + 1
    while True:
        sockets = [key for key in loop._selector.get_map().values() if key.fd != loop._ssock.fileno()]
        left = [*(asyncio.all_tasks() - {asyncio.current_task()}), *sockets]
        if not left or loop.time() > deadline:
            return left
        await asyncio.sleep(0.001)


KIND = Kind(AsyncWebSocketClient, loop_in_a_thread)
