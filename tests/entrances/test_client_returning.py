"""What is in the way of clients that come back: hooks that wait or exit, questions in between, the bound."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from tests.clients import KINDS, make_client
from tests.clients.gevent import hub_in_a_thread
from tests.drivers.peer import wait_until
from tests.entrances.phoenix import LATE, SOON, close, echo, in_thread, no_threads_stay, phoenix, say
from tests.entrances.scripted import BOUND, Visit, no_leaks, text
from ws4py_middleware.client import Backoff, WebSocketBaseClient
from ws4py_middleware.client.asyncclient import AsyncWebSocketClient
from ws4py_middleware.client.away import Wait
from ws4py_middleware.client.dialers import Dialers
from ws4py_middleware.client.geventclient import WebSocketClient as GeventClient
from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import CloseControlMessage
from ws4py_middleware.sending import send


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with no_leaks(), no_threads_stay():
        yield


def end(client: Any) -> None:
    client.close()
    client.run()


# --- hooks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "base"])
def test_a_hook_that_exits_ends_nothing_that_others_wait_for(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(*args: Any) -> None:
        raise SystemExit

    with phoenix(close(1012), say(text("again"))) as bird:
        with make_client(kind, bird.url, reconnect=SOON) as session:
            session.client.reconnecting = leave
            session.connect()
            assert str(session.receive()) == "again"
            assert len(bird.visits) == 2
    assert "between two connections" in caplog.text


def test_a_hook_that_exits_goes_through_to_the_caller_and_is_called_once() -> None:
    class Leaving(WebSocketBaseClient):
        calls = 0

        def reconnecting(self, attempt: int, delay: float, cause: Exception) -> None:
            self.calls += 1
            raise KeyboardInterrupt

    with phoenix(close(1012), say(text("again"))) as bird:
        client = Leaving(bird.url, reconnect=SOON)
        client.connect()
        with pytest.raises(KeyboardInterrupt):
            client.receive(BOUND)
        assert str(client.receive(BOUND)) == "again"
        assert client.calls == 1
        end(client)


def test_a_hook_that_waits_for_what_was_cancelled_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Cancelling(AsyncWebSocketClient):
        async def reconnecting(self, attempt: int, delay: float, cause: Exception) -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    async def main() -> None:
        with phoenix(close(1012), say(text("again"))) as bird:
            async with Cancelling(bird.url, reconnect=SOON) as client:
                assert str(await client.receive(BOUND)) == "again"

    asyncio.run(main())
    assert "between two connections" in caplog.text


def test_hooks_that_await_send_do_not_wait_for_what_comes_after_them() -> None:
    class Talking(AsyncWebSocketClient):
        async def _talk(self, what: str) -> None:
            for _ in range(3):
                await self.send(what * 60)

        async def opened(self) -> None:
            await self._talk("o")

        async def closed(self, code: int, reason: str | None = None) -> None:
            if code == 1012:
                await self._talk("c")

        async def reconnecting(self, attempt: int, delay: float, cause: Exception) -> None:
            await self._talk("r")

    async def main() -> None:
        with phoenix(close(1012), echo) as bird:
            async with Talking(bird.url, reconnect=SOON, write_high_water=100) as client:
                heard = [str(await client.receive(BOUND))[0] for _ in range(9)]
                assert "".join(heard) == "ooocccrrr"

    asyncio.run(main())


def test_a_backoff_that_fails_gives_it_up_and_nobody_waits(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Backoff):
        def retries(self, cause: BaseException) -> bool:
            raise ValueError("no idea")

    with phoenix(close(1012)) as bird:
        client = WebSocketClient(bird.url, reconnect=Broken())
        client.connect()
        assert client.receive(BOUND) is None
        end(client)
    assert "cannot tell what to try again" in caplog.text


# --- who asks in between --------------------------------------------------------------------------------


def test_whoever_asks_while_it_is_decided_is_not_told_that_it_was_the_end() -> None:
    class Deciding(Backoff):
        def retries(self, cause: BaseException) -> bool:
            if isinstance(cause, ConnectionClosed):
                asking.append(in_thread(ask))
                asking[-1].join(0.2)  # it is answered at once, or when all is decided
            return super().retries(cause)

    def ask() -> None:
        try:
            client.send("x")
        except ConnectionClosed as error:
            problems.append(error)

    asking: list[threading.Thread] = []
    problems: list[Exception] = []
    with phoenix(close(1012), echo) as bird:
        client = WebSocketClient(bird.url, reconnect=Deciding(initial=0.01, maximum=60, factor=1))
        client.connect()
        assert str(client.receive(BOUND)) == "x"
        for thread in asking:
            thread.join(BOUND)
        assert not problems
        end(client)


def test_a_change_that_another_thread_makes_before_a_task_waits_is_seen() -> None:
    async def main() -> None:
        client = AsyncWebSocketClient("ws://localhost:9", reconnect=LATE)
        reconnecting: Any = client._reconnecting
        asked = 0

        def until() -> bool:
            nonlocal asked
            asked += 1
            if asked == 1:
                reconnecting._changed()  # as in another thread, behind the answer
            return asked > 1

        assert await asyncio.wait_for(reconnecting.wait(until), BOUND)

    asyncio.run(main())


def test_a_sender_is_told_while_it_is_being_connected_by_hand() -> None:
    def send() -> None:
        with pytest.raises(ConnectionClosed):
            link.send_message(b"x", True)
        told.set()

    told = threading.Event()
    with phoenix(echo) as bird:
        client = WebSocketBaseClient(bird.url, reconnect=SOON)
        client.connect()
        link: Any = client._link
        end(client)
        client._forget_last()
        in_thread(send)
        assert told.wait(BOUND)


def test_fragments_for_a_connection_that_is_gone_go_to_the_next_one_in_one_piece() -> None:
    told = threading.Event()

    def leave_when_told(visit: Visit) -> None:
        visit.accept()
        told.wait(BOUND)

    with phoenix(leave_when_told, echo) as bird:
        client = WebSocketClient(bird.url, reconnect=SOON)
        client.connect()
        old: Any = client._link
        told.set()
        wait_until(lambda: client._link is not old and client.is_open)
        # A sender that has found the connection before it ended.
        send(SimpleNamespace(_link=old), ["a", "b"])
        assert str(client.receive(BOUND)) == "ab"
        end(client)


def test_one_that_ends_before_connect_has_returned_is_followed_by_another_while_nobody_waits() -> None:
    class Slow(WebSocketClient):
        def handshake_ok(self) -> None:
            super().handshake_ok()
            link: Any = self._link
            if len(bird.visits) == 1:
                wait_until(lambda: link.is_over)
                time.sleep(0.05)  # for its thread to see what comes next

    with phoenix(close(1012), echo) as bird:
        client = Slow(bird.url, reconnect=SOON)
        client.connect()
        wait_until(lambda: len(bird.visits) == 2 and client.is_open)
        end(client)


@pytest.mark.parametrize("first", [False, True])
def test_a_thread_whose_client_did_not_want_the_connection_ends(first: bool) -> None:
    class Choosy(WebSocketClient):
        def handshake_ok(self) -> None:
            super().handshake_ok()
            if len(bird.visits) == 1:
                raise ConnectionResetError("not this one")

    with phoenix(echo) as bird:
        client = Choosy(bird.url, reconnect=Backoff(initial=0.01, maximum=60, factor=1, first=first))
        if first:
            client.connect()
            assert (len(bird.visits), client.is_open) == (2, True)
            end(client)
        else:
            with pytest.raises(ConnectionResetError, match="not this one"):
                client.connect()


def test_one_that_is_terminated_before_it_opens_is_told_of_no_end() -> None:
    class Early(WebSocketBaseClient):
        told = ""

        def handshake_ok(self) -> None:
            self.terminate()
            super().handshake_ok()

        def opened(self) -> None:
            self.told += "opened"

        def closed(self, code: int, reason: str | None = None) -> None:
            self.told += "closed"

    with phoenix(echo) as bird:
        client = Early(bird.url, reconnect=SOON)
        client.connect()
        assert client.receive(BOUND) is None
        assert client.told == ""


def test_a_loop_that_is_closed_over_it_hears_no_complaint_of_ours() -> None:
    with phoenix(close(1012)) as bird:
        loop = asyncio.new_event_loop()
        client = AsyncWebSocketClient(bird.url, reconnect=LATE)
        loop.run_until_complete(client.connect())
        reconnecting: Any = client._reconnecting
        while reconnecting._task is None:
            loop.run_until_complete(asyncio.sleep(0.001))
        coroutine = reconnecting._task.get_coro()
        reconnecting._task._log_destroy_pending = False  # asyncio's complaint is the application's business
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        coroutine.close()  # as the garbage collector does, who would only log what is raised
        reconnecting._task = None
        client.close()


def test_a_close_message_is_meant() -> None:
    with phoenix(echo) as bird:
        client = WebSocketClient(bird.url, reconnect=SOON)
        client.connect()
        client.send(CloseControlMessage(1001, "bye"))
        client.run()
        assert len(bird.visits) == 1


def test_a_task_that_is_cancelled_before_it_begins_has_nobody_come_back() -> None:
    async def main() -> None:
        with phoenix(echo) as bird:
            client = AsyncWebSocketClient(bird.url, reconnect=LATE)
            link: Any = await client._connect_once()
            link.loop.task_of(client).cancel()
            assert await client.receive(BOUND) is None
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_greenlet_that_is_killed_on_its_way_leaves_nobody_waiting() -> None:
    class Known(GeventClient):
        greenlet: Any = None

        def reconnecting(self, attempt: int, delay: float, cause: Exception) -> None:
            self.greenlet = gevent.getcurrent()

    with phoenix(close(1012)) as bird, hub_in_a_thread() as call:
        client = Known(bird.url, reconnect=LATE)
        call(client.connect)
        waiting = in_thread(call, client.receive)
        wait_until(lambda: client.greenlet is not None)
        call(client.greenlet.kill)
        waiting.join(BOUND)
        assert not waiting.is_alive()
        with pytest.raises(ConnectionClosed):
            client.send("x")


# --- the bound ------------------------------------------------------------------------------------------


def test_a_sender_waits_also_for_the_few_bytes_that_a_message_costs() -> None:
    with phoenix(echo) as bird:
        client = WebSocketBaseClient(bird.url, reconnect=SOON, write_limit=200, write_high_water=100)
        client.connect()
        bird.stop()
        with pytest.raises(TimeoutError):
            client.receive(0.05)
        client.send("a" * 80)
        thread = in_thread(client.send, "b" * 100)  # both are within the bound, but for the heads of frames
        bird.start(echo)
        thread.join(BOUND)
        assert not thread.is_alive()
        assert [str(client.receive(BOUND))[0] for _ in range(2)] == ["a", "b"]
        end(client)


def test_to_give_it_up_at_the_bound_ends_a_connection_that_has_just_begun() -> None:
    class Slow(WebSocketClient):
        def opened(self) -> None:
            if len(bird.visits) == 2:
                is_open.set()
                assert may_go_on.wait(BOUND)

    is_open, may_go_on = threading.Event(), threading.Event()
    with phoenix(close(1012), echo) as bird:
        client = Slow(
            bird.url, reconnect=SOON, queue_policy="disconnect", write_limit=200, write_high_water=100
        )
        client.connect()
        assert is_open.wait(BOUND)
        client.send("a" * 100)
        with pytest.raises(ConnectionClosed, match="more than 200 bytes wait"):
            client.send("b" * 100)
        may_go_on.set()
        client.run()
        assert not client.is_open
        assert len(bird.visits) == 2


# --- managers -------------------------------------------------------------------------------------------


def test_who_is_added_by_hand_alone_is_told_of_each_opening() -> None:
    class Silent(WebSocketBaseClient):
        opens = 0

        def handshake_ok(self) -> None:
            pass

        def opened(self) -> None:
            self.opens += 1

    manager = WebSocketManager()
    manager.start()
    with contextlib.closing(_Stopping(manager)), phoenix(close(1012), echo) as bird:
        client = Silent(bird.url, reconnect=SOON)
        client.connect()
        manager.add(client)
        wait_until(lambda: len(bird.visits) == 2 and client.is_open)
        client.send("x")
        assert str(client.receive(BOUND)) == "x"
        assert client.opens == 2
        end(client)


def test_a_manager_that_stops_lets_those_go_on_who_wait_for_one_that_is_away() -> None:
    manager = WebSocketManager()
    manager.start()
    with phoenix(close(1012)) as bird:
        client = WebSocketBaseClient(bird.url, reconnect=LATE)
        client.connect()
        manager.add(client)
        reconnecting: Any = client._reconnecting
        wait_until(lambda: isinstance(getattr(reconnecting.campaign, "step", None), Wait))
        wait_until(lambda: reconnecting._worker is None)
        manager.stop()
        thread = in_thread(client.run)
        thread.join(BOUND)
        assert not thread.is_alive()


def test_a_manager_that_stops_while_it_dials_is_left_with_nothing() -> None:
    class Managed(WebSocketBaseClient):
        told = ""

        def handshake_ok(self) -> None:
            manager.add(self)

        def opened(self) -> None:
            self.told += "opened "

        def closed(self, code: int, reason: str | None = None) -> None:
            self.told += f"closed {code} "

    def stop_and_accept(visit: Visit) -> None:
        manager.stop()
        visit.accept()
        visit.wait_end()

    manager = WebSocketManager()
    manager.start()
    with phoenix(close(1012), stop_and_accept) as bird:
        client = Managed(bird.url, reconnect=SOON)
        client.connect()
        wait_until(lambda: client.told.count("closed") == 2)
        assert client.told == "opened closed 1012 opened closed 1006 "
        wait_until(lambda: len(manager) == 0)
        client.run()


class _Stopping:
    def __init__(self, manager: WebSocketManager) -> None:
        self.close = manager.stop


def test_an_errand_that_exits_costs_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    def leave() -> None:
        raise SystemExit

    dialers, done = Dialers(limit=1), threading.Event()
    dialers.later(0, leave)
    dialers.later(0.001, done.set)
    assert done.wait(BOUND)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
