"""Clients that come back, in an asyncio loop: hooks and room that are awaited, ends that are cancelled."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.entrances.phoenix import LATE, SOON, close, echo, no_threads_stay, phoenix, say
from tests.entrances.scripted import Visit, no_leaks, text
from ws4py_middleware.client import Backoff
from ws4py_middleware.client.asyncclient import AsyncWebSocketClient
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.messaging import Message


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with no_leaks(), no_threads_stay():
        yield
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


class Client(AsyncWebSocketClient):
    """Note what the hooks are told; all of them take their time."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[tuple[Any, ...]] = []
        self.busy = 0

    async def _note(self, *what: Any) -> None:
        self.busy += 1
        assert self.busy == 1, "two hooks at once"
        await asyncio.sleep(0.001)
        self.seen.append(what)
        self.busy -= 1

    async def opened(self) -> None:
        await self._note("opened")

    async def received_message(self, message: Message) -> None:
        await self._note(str(message))

    async def reconnecting(self, attempt: int, delay: float, cause: Exception) -> None:
        await self._note("reconnecting", attempt)

    async def unhandled_error(self, error: BaseException) -> None:
        await self._note("gave up", str(error))

    async def closed(self, code: int, reason: str | None = None) -> None:
        await self._note("closed", code)


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


def test_all_hooks_are_awaited_one_after_the_other_and_run_goes_on() -> None:
    def last(visit: Visit) -> None:
        close(1000)(visit)

    async def main() -> None:
        client = Client(bird.url, reconnect=SOON)
        await client.connect()
        await client.run()
        assert client.seen == [
            ("opened",),
            ("closed", 1012),
            ("reconnecting", 1),
            ("opened",),
            ("closed", 1006),
            ("reconnecting", 2),
            ("opened",),
            ("closed", 1000),
        ]
        assert not others()

    with phoenix(close(1012), Visit.accept, last) as bird:
        asyncio.run(main(), debug=True)


def test_iteration_goes_on_across_connections() -> None:
    async def main() -> None:
        async with AsyncWebSocketClient(bird.url, reconnect=SOON) as client:
            got = []
            async for message in client:
                got.append(str(message))
                if len(got) == 2:
                    client.close()
            assert got == ["a", "b"]
        assert not others()

    def first(visit: Visit) -> None:
        visit.accept(text("a"))

    with phoenix(first, say(text("b"))) as bird:
        asyncio.run(main())


def test_the_end_of_the_block_ends_the_waiting_at_once() -> None:
    async def main() -> None:
        async with Client(bird.url, reconnect=LATE) as client:
            while ("reconnecting", 1) not in client.seen:
                await asyncio.sleep(0.001)
            assert len(others()) == 1
        assert not others()

    with phoenix(close(1012)) as bird:
        began = time.monotonic()
        asyncio.run(main())
        assert time.monotonic() - began < 5


def test_a_loop_that_ends_takes_the_waiting_with_it() -> None:
    async def main() -> None:
        client = Client(bird.url, reconnect=LATE)
        await client.connect()
        while ("reconnecting", 1) not in client.seen:
            await asyncio.sleep(0.001)
        clients.append(client)

    async def open_to_the_end() -> None:
        clients.append(Client(bird.url, reconnect=SOON))
        await clients[-1].connect()

    clients: list[Client] = []
    with phoenix(close(1012), echo) as bird:
        asyncio.run(main())
        asyncio.run(open_to_the_end())
        assert len(bird.visits) == 2
        assert not any(client.is_open for client in clients)


def test_who_awaits_send_waits_for_room_until_there_is_a_connection() -> None:
    async def main() -> None:
        async with AsyncWebSocketClient(bird.url, reconnect=SOON, write_high_water=1000) as client:
            bird.stop()
            while client.is_open:
                await asyncio.sleep(0.001)
            sent = 0

            async def talk() -> None:
                nonlocal sent
                for number in range(20):
                    await client.send(str(number).ljust(200))
                    sent += 1

            talking = asyncio.create_task(talk())
            while sent < 4:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)
            assert sent == 4
            bird.start(echo)
            got = [str(await client.receive(5)).strip() for _ in range(20)]
            assert got == [str(number) for number in range(20)]
            await talking

    with phoenix(echo) as bird:
        asyncio.run(main())


def test_who_does_not_await_send_gives_it_up_at_the_bound() -> None:
    async def main() -> None:
        async with AsyncWebSocketClient(bird.url, reconnect=LATE, write_limit=1000) as client:
            while not client.terminated:
                await asyncio.sleep(0.001)
            for _ in range(4):
                client.send("x" * 200)
            with pytest.raises(ConnectionClosed, match="more than 1000 bytes wait for the next connection"):
                client.send("x" * 200)
            assert await client.receive(5) is None
        assert not others()

    with phoenix(close(1012)) as bird:
        asyncio.run(main())


def test_a_thread_that_sends_waits_at_the_bound() -> None:
    async def main() -> None:
        async with AsyncWebSocketClient(bird.url, reconnect=SOON, write_limit=1000) as client:
            bird.stop()
            while client.is_open:
                await asyncio.sleep(0.001)

            def talk() -> None:
                for number in range(20):
                    client.send(str(number).ljust(200))

            thread = threading.Thread(target=talk)
            thread.start()
            await asyncio.sleep(0.02)
            assert thread.is_alive()
            bird.start(echo)
            got = [str(await client.receive(5)).strip() for _ in range(20)]
            assert got == [str(number) for number in range(20)]
            thread.join()

    with phoenix(echo) as bird:
        asyncio.run(main())


def test_a_first_connect_that_goes_on_can_be_cancelled() -> None:
    async def main() -> None:
        client = Client(bird.url, reconnect=Backoff(initial=60, maximum=60, jitter=False, first=True))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.connect(), 0.05)
        assert client.seen == [("reconnecting", 1)]
        connecting = asyncio.create_task(client.connect())
        while client.seen != [("reconnecting", 1)] * 2:
            await asyncio.sleep(0.001)
        client.close()
        with pytest.raises(ConnectionClosed, match="it was closed while it was being connected"):
            await connecting
        await asyncio.sleep(0)
        assert not others()

    with phoenix() as bird:
        asyncio.run(main())


def test_thousands_of_messages_while_it_comes_and_goes_are_in_order_and_none_comes_twice() -> None:
    got: list[int] = []

    def some(visit: Visit) -> None:
        visit.accept()
        for _ in range(300):
            opcode, payload = visit.read_frame()
            if opcode == 8:
                return
            got.append(int(payload))

    async def main() -> None:
        async with AsyncWebSocketClient(bird.url, reconnect=Backoff(initial=0.001, maximum=0.01)) as client:
            for number in range(3000):
                await client.send(str(number))
                if number % 50 == 0:
                    await asyncio.sleep(0.002)
            while got[-1:] != [2999]:
                await client.send("2999")
                await asyncio.sleep(0.01)

    with phoenix(some) as bird:
        asyncio.run(main())
        assert len(bird.visits) > 3
    until = got.index(2999)
    assert got[: until + 1] == sorted(set(got[: until + 1]))
