"""The manager of an asyncio loop: the same contract with ``async def`` hooks that wait, and functions."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from typing import Any

import pytest

from tests.core.wire import TEXT
from tests.drivers import contract, contract_traffic
from tests.drivers.contract import LifecycleContract
from tests.drivers.contract_traffic import TrafficContract
from tests.drivers.peer import EchoRecorder, Recorder, build, wait_until
from tests.drivers.tasks import TaskHost, host
from ws4py_middleware.async_websocket import AsyncWebSocket, EchoWebSocket, Queued, WebSocket
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.functions import handler_class
from ws4py_middleware.messaging import Message

__all__ = ["host"]


class AsyncRecorder(AsyncWebSocket, Recorder):
    """A recorder whose hooks let others run, before and after."""

    async def opened(self) -> None:  # type: ignore[override]
        with self.hook("opened"):
            await asyncio.sleep(0)
            self.on_opened()
            await asyncio.sleep(0)

    async def received_message(self, message: Message) -> None:  # type: ignore[override]
        with self.hook("message", str(message) if message.is_text else message.data):
            await asyncio.sleep(0)
            self.on_message(message)
            await self.after_message(message)

    async def ponged(self, pong: Message) -> None:  # type: ignore[override]
        with self.hook("ponged", pong.data):
            await asyncio.sleep(0)
            self.on_ponged(pong)

    async def closed(self, code: int, reason: str | None = None) -> None:  # type: ignore[override]
        with self.hook("closed", code, reason):
            await asyncio.sleep(0)
            self.on_closed(code)

    async def after_message(self, message: Message) -> None:
        await asyncio.sleep(0)


class AsyncEchoRecorder(AsyncRecorder, EchoRecorder):
    pass


@pytest.fixture(autouse=True)
def all_async(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the contract's handlers be async ones."""
    for module in (contract, contract_traffic):
        monkeypatch.setattr(module, "Recorder", AsyncRecorder)
        monkeypatch.setattr(module, "EchoRecorder", AsyncEchoRecorder)
    monkeypatch.setattr(contract_traffic, "EchoWebSocket", EchoWebSocket)


class TestLifecycle(LifecycleContract):
    pass


class TestTraffic(TrafficContract):
    def test_receive_in_a_hook_is_refused(self, host: TaskHost) -> None:  # type: ignore[override]
        class Handler(AsyncRecorder):
            async def after_message(self, message: Message) -> None:
                with pytest.raises(RuntimeError, match="received_message"):
                    await self.receive(timeout=0)
                self.send("refused")

        recorder = Handler()
        peer = host.connect(recorder)
        peer.send("x")
        assert peer.read() == "refused"
        peer.finish()
        host.wait_closed(recorder)


# --- sending in tasks -----------------------------------------------------------------------------


class Marking(Recorder):
    def send(self, payload: Any, binary: bool = False) -> None:
        super().send(f"marked {payload}", binary)


class Own(AsyncRecorder):
    def send(self, payload: Any, binary: bool = False) -> Queued:  # type: ignore[override]
        return super().send(f"own {payload}", binary)


class MarkingAsync(AsyncRecorder, Marking):  # type: ignore[misc]
    pass


class MarkingOwn(Own, Marking):  # type: ignore[misc]
    pass


@pytest.mark.parametrize(
    ("kind", "text"),
    [(AsyncRecorder, "hi"), (MarkingAsync, "marked hi"), (Own, "own hi"), (MarkingOwn, "marked own hi")],
)
def test_send_of_each_class_in_between_is_called(
    host: TaskHost, kind: type[AsyncRecorder], text: str
) -> None:
    recorder = kind()
    peer = host.connect(recorder)

    async def send() -> None:
        await recorder.send("hi")

    host.run(send())
    assert peer.read() == text
    peer.finish()
    host.wait_closed(recorder)


def test_await_send_waits_for_room_and_loses_nothing(host: TaskHost) -> None:
    recorder = AsyncRecorder()
    peer = host.connect(recorder, host.small_pair, write_high_water=1000)
    sent: list[int] = []

    async def send() -> None:
        for number in range(50):
            await recorder.send(bytes([number]) * 1000, binary=True)
            sent.append(number)

    join = host.spawn(lambda: host.run(send()))
    host.wait_until(lambda: recorder._link is not None and recorder._link._waiters)
    assert len(sent) < 50
    for number in range(50):
        assert peer.read() == bytes([number]) * 1000
    join()
    peer.finish()
    host.wait_closed(recorder)


def test_await_send_ends_when_the_peer_goes(host: TaskHost) -> None:
    recorder = AsyncRecorder()
    peer = host.connect(recorder, host.small_pair, write_high_water=1000)

    async def send() -> None:
        while True:
            await recorder.send(bytes(1000), binary=True)

    join = host.spawn(lambda: host.run(send()))
    host.wait_until(lambda: recorder._link is not None and recorder._link._waiters)
    peer.sock.close()
    with pytest.raises(ConnectionClosed):
        join()
    host.wait_closed(recorder)


def test_send_without_await_is_bounded_by_the_limit(host: TaskHost) -> None:
    recorder = AsyncRecorder()
    peer = host.connect(recorder, host.small_pair, write_high_water=1000, write_limit=20_000)

    async def send() -> None:
        while True:
            recorder.send(bytes(1000), binary=True)

    with pytest.raises(ConnectionClosed):
        host.run(send())
    assert host.wait_closed(recorder)[0] == 1013
    peer.sock.close()


@pytest.mark.parametrize("policy", ["disconnect", "drop-newest", "drop-oldest"])
def test_await_send_does_not_wait_where_the_policy_says_so(host: TaskHost, policy: str) -> None:
    recorder = AsyncRecorder()
    peer = host.connect(
        recorder, host.small_pair, write_high_water=1000, write_limit=5000, queue_policy=policy
    )

    async def send() -> int:
        for number in range(200):
            try:
                await recorder.send(bytes(1000), binary=True)
            except ConnectionClosed:
                return number
        return 200

    assert (host.run(send()) < 200) == (policy == "disconnect")
    peer.sock.close()
    host.wait_closed(recorder)


def test_what_a_hook_sends_leaves_in_one_piece_when_it_waits(host: TaskHost) -> None:
    """And not before: the peer reads everything at once."""
    go_on: list[asyncio.Event] = []

    class Handler(AsyncRecorder):
        async def after_message(self, message: Message) -> None:
            go_on.append(asyncio.Event())
            self.send("one")
            await self.send("two")
            await self.ping(b"three")
            assert self._link is not None
            assert self._link.conn.queued > 0
            await go_on[0].wait()
            self.send("four")

    recorder = Handler()
    peer = host.connect(recorder)
    peer.send("x")
    assert peer.read() == "one"
    assert len(peer._buffer) == 5 + 7
    assert peer.read() == "two"
    assert peer.read_frame().payload == b"three"
    host.loop.call_soon_threadsafe(go_on[0].set)
    assert peer.read() == "four"
    peer.finish()
    host.wait_closed(recorder)


def test_hook_that_waits_stops_nobody_else(host: TaskHost) -> None:
    go_on: list[asyncio.Event] = []

    class Handler(AsyncRecorder):
        async def after_message(self, message: Message) -> None:
            go_on.append(asyncio.Event())
            await go_on[-1].wait()

    waiting, other = Handler(), AsyncEchoRecorder()
    first, second = host.connect(waiting, ping_interval=0.02), host.connect(other)
    first.send("one")
    first.send("two")
    host.wait_until(lambda: go_on)
    for number in range(20):
        second.send(str(number))
        assert second.read() == str(number)
    assert first.read_frame().opcode == 9
    waiting.send("from elsewhere")
    while (frame := first.read_frame()).opcode == 9:
        pass
    assert frame.payload == b"from elsewhere"
    assert waiting.messages == ["one"]
    host.loop.call_soon_threadsafe(go_on[0].set)
    host.wait_until(lambda: len(go_on) == 2)
    host.loop.call_soon_threadsafe(go_on[1].set)
    first.sock.close()
    second.finish()
    assert host.wait_closed(waiting)[0] == 1006


def test_hooks_may_be_plain_functions(host: TaskHost) -> None:
    class Handler(AsyncWebSocket):
        def received_message(self, message: Message) -> None:
            self.send(message)

    peer = host.connect(Handler())
    peer.send("plain")
    assert peer.read() == "plain"
    peer.finish()


def test_echo_of_many_messages(host: TaskHost) -> None:
    peer = host.connect(EchoWebSocket(), early=build(TEXT, b"early"))
    assert peer.read() == "early"
    texts = [str(number) for number in range(2000)]
    join = host.spawn(lambda: peer.send_bytes(b"".join(build(TEXT, text.encode()) for text in texts)))
    assert [peer.read() for _ in texts] == texts
    join()
    peer.finish()


# --- functions, and messages that are asked for ------------------------------------------------------


def test_async_function_echoes_and_ends_with_1000(host: TaskHost) -> None:
    seen: list[Any] = []

    async def echo(ws: WebSocket, room: str) -> None:
        seen.append(room)
        async for message in ws:
            await ws.send(message)
            if str(message) == "bye":
                return

    websocket = handler_class(echo)()
    websocket.params = {"room": "blue"}
    peer = host.connect(websocket, early=build(TEXT, b"early"))
    assert peer.read() == "early"
    for text in ("hello", "bye"):
        peer.send(text)
        assert peer.read() == text
    assert peer.answer() == (1000, "")
    assert seen == ["blue"]


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit()])
def test_async_function_that_raises_closes_with_1011_and_logs_once(
    host: TaskHost, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    async def boom(ws: WebSocket) -> None:
        await ws.receive()
        raise error

    peer = host.connect(handler_class(boom)())
    peer.send("x")
    assert peer.answer() == (1011, "internal error")
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_async_function_that_sends_to_one_who_has_left_ends_silently(
    host: TaskHost, caplog: pytest.LogCaptureFixture
) -> None:
    async def push(ws: WebSocket) -> None:
        while True:
            await ws.send("x")
            await asyncio.sleep(0.001)

    peer = host.connect(handler_class(push)())
    assert peer.read() == "x"
    peer.sock.close()
    host.wait_until(lambda: not len(host.manager) and not host.manager._spawned)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_async_function_that_is_cancelled_closes_with_1001(host: TaskHost) -> None:
    async def wait(ws: WebSocket) -> None:
        await asyncio.sleep(100)

    peer = host.connect(handler_class(wait)())
    host.wait_until(lambda: host.manager._spawned)
    host.loop.call_soon_threadsafe(next(iter(host.manager._spawned)).cancel)
    assert peer.answer()[0] == 1001


def test_receive_times_out_and_goes_on(host: TaskHost) -> None:
    websocket = WebSocket()
    peer = host.connect(websocket)
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        host.run(websocket.receive(timeout=0.01))
    peer.send("late")
    message = host.run(websocket.receive(timeout=5))
    assert message is not None
    assert str(message) == "late"
    host.spawn(peer.finish)()
    assert host.run(websocket.receive()) is None
    with pytest.raises(TypeError, match="async for"):
        iter(websocket)


def test_receive_that_is_cancelled_leaves_the_message_to_the_next(host: TaskHost) -> None:
    websocket = WebSocket()
    peer = host.connect(websocket)

    async def race() -> Message | None:
        first = asyncio.ensure_future(websocket.receive())
        second = asyncio.ensure_future(websocket.receive())
        await asyncio.sleep(0)
        peer.send("x")
        first.cancel()
        return await second

    message = host.run(race())
    assert message is not None
    assert str(message) == "x"
    peer.finish()


def test_inbox_that_is_full_stops_reading(host: TaskHost) -> None:
    websocket = WebSocket()
    peer = host.connect(websocket, receive_queue_messages=4)
    with pytest.raises(TimeoutError):
        host.run(websocket.receive(timeout=0))
    link = websocket._link
    assert link is not None
    texts = [str(number) for number in range(100)]
    peer.send_bytes(b"".join(build(TEXT, text.encode()) for text in texts))
    host.wait_until(lambda: link.paused)

    async def read() -> list[str]:
        return [str(await websocket.receive(5)) for _ in range(100)]

    assert host.run(read()) == texts
    peer.finish()


def test_without_connection_there_is_nothing_to_wait_for() -> None:
    with pytest.raises(RuntimeError, match="not connected yet"):
        asyncio.run(WebSocket().receive())


# --- turns that others make in the name of a task ------------------------------------------------------


def test_all_hooks_are_one_tasks_and_see_one_context(host: TaskHost) -> None:
    number: contextvars.ContextVar[int] = contextvars.ContextVar("number")
    seen: list[object] = []

    class Handler(WebSocket):
        async def opened(self) -> None:
            number.set(0)

        async def received_message(self, message: Message) -> None:
            number.set(number.get() + 1)
            seen.append(asyncio.current_task())
            if str(message) == "wait":
                await self.send("waits")  # and leaves before it waits
                await asyncio.sleep(0.001)
            seen.append(asyncio.current_task())
            await self.send(str(number.get()))

        async def closed(self, code: int, reason: str | None = None) -> None:
            seen.append(asyncio.current_task())

    websocket = Handler()
    peer = host.connect(websocket)
    for text, answers in (("a", ["1"]), ("wait", ["waits", "2"]), ("b", ["3"])):
        peer.send(text)
        assert [peer.read() for _ in answers] == answers
    peer.finish()
    wait_until(lambda: len(seen) == 7)
    assert len(set(seen)) == 1
    assert isinstance(seen[0], asyncio.Task)


def test_time_limit_in_a_hook_ends_what_it_waits_for_and_no_more(host: TaskHost) -> None:
    class Handler(WebSocket):
        async def received_message(self, message: Message) -> None:
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)
            except asyncio.TimeoutError:
                await self.send("over")

    peer = host.connect(Handler())
    for _ in range(3):
        peer.send("x")
        assert peer.read() == "over"
    peer.finish()


def test_messages_that_come_while_a_hook_waits_keep_their_order(host: TaskHost) -> None:
    gate = threading.Event()

    class Handler(WebSocket):
        async def received_message(self, message: Message) -> None:
            if str(message) == "0":
                while not gate.is_set():
                    await asyncio.sleep(0.001)
            await self.send(message)

    peer = host.connect(Handler())
    texts = [str(number) for number in range(50)]
    for text in texts:
        peer.send(text)
    gate.set()
    assert [peer.read() for _ in texts] == texts
    peer.finish()
