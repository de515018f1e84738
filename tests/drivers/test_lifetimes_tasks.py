"""Lifetimes in the manager of an asyncio loop, with hooks in threads, and with those that are awaited."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.drivers.contract_lifetime import LIFETIME, LifetimeContract
from tests.drivers.tasks import TaskHost, host
from ws4py_middleware.async_websocket import AsyncWebSocket
from ws4py_middleware.functions import handler_class

__all__ = ["host"]


class TestLifetimes(LifetimeContract):
    pass


class Asking(AsyncWebSocket):
    """Its hook waits before it answers."""

    answers: list[Any]

    async def reauthorize(self) -> Any:
        await asyncio.sleep(0.01)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def received_message(self, message: Any) -> None:
        await self.send(message)


@pytest.mark.parametrize(
    ("answers", "code"),
    [([False], 1008), ([True, None, False], 1008), ([True, 1], 1011), ([ZeroDivisionError()], 1011)],
)
def test_answer_is_awaited(host: TaskHost, answers: list[Any], code: int) -> None:
    websocket = Asking()
    websocket.answers = list(answers)
    with host.connect(websocket, max_lifetime=LIFETIME) as peer:
        peer.send("hello")
        assert peer.read() == "hello"
        assert peer.answer()[0] == code
    assert websocket.answers == []


def test_async_function_of_a_policy_is_awaited(host: TaskHost) -> None:
    asked = []

    async def allow(ws: AsyncWebSocket) -> bool:
        await asyncio.sleep(0)
        asked.append(ws)
        return len(asked) < 2

    async def echo(ws: AsyncWebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    websocket = handler_class(echo)()
    with host.connect(websocket, max_lifetime=LIFETIME, reauthorize=allow) as peer:
        peer.send("hello")
        assert peer.read() == "hello"
        assert peer.answer()[0] == 1008
    assert asked == [websocket] * 2


def test_plain_hook_of_an_async_websocket_need_not_be_awaited(host: TaskHost) -> None:
    class Plain(AsyncWebSocket):
        def reauthorize(self) -> bool:
            return False

    with host.connect(Plain(), max_lifetime=LIFETIME) as peer:
        assert peer.answer()[0] == 1008
