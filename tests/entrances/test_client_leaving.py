"""What the server is told when a client's ``with`` block is left."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from typing import Any

import pytest

from tests.entrances.scripted import Visit, scripted
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.client.asyncclient import AsyncWebSocketClient
from ws4py_middleware.client.geventclient import WebSocketClient as GeventWebSocketClient
from ws4py_middleware.client.threadedclient import WebSocketClient

LEFT = [(None, 1000), (ValueError("the body's"), 1011), (KeyboardInterrupt(), 1001)]


class _Told:
    """A server that notes with what each client has left."""

    def __init__(self) -> None:
        self._told: queue.Queue[bytes] = queue.Queue()

    def __call__(self, visit: Visit) -> None:
        visit.accept()
        self._told.put(visit.answer_close())

    @property
    def code(self) -> int:
        return int.from_bytes(self._told.get(timeout=10)[:2], "big")


def _leave(error: BaseException | None) -> None:
    if error is not None:
        raise error


def _raises(error: BaseException | None) -> contextlib.AbstractContextManager[Any]:
    return contextlib.nullcontext() if error is None else pytest.raises(type(error))


@pytest.mark.parametrize(("error", "code"), LEFT)
@pytest.mark.parametrize("kind", [WebSocketBaseClient, WebSocketClient, GeventWebSocketClient])
def test_block_that_raises_closes_with_1011(kind: Any, error: BaseException | None, code: int) -> None:
    told = _Told()
    with scripted(told) as server:
        with _raises(error), kind(server.url):
            _leave(error)
        assert told.code == code


@pytest.mark.parametrize(("error", "code"), LEFT[:2])
def test_block_in_a_task_that_raises_closes_with_1011(error: BaseException | None, code: int) -> None:
    async def visit(url: str) -> None:
        async with AsyncWebSocketClient(url):
            _leave(error)

    told = _Told()
    with scripted(told) as server:
        with _raises(error):
            asyncio.run(visit(server.url))
        assert told.code == code


def test_task_that_is_cancelled_closes_with_1001() -> None:
    async def visit(url: str) -> None:
        async with AsyncWebSocketClient(url):
            inside.set()
            await asyncio.sleep(60)

    async def main(url: str) -> None:
        task = asyncio.create_task(visit(url))
        await asyncio.wait_for(inside.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    told, inside = _Told(), asyncio.Event()
    with scripted(told) as server:
        asyncio.run(main(server.url))
        assert told.code == 1001
