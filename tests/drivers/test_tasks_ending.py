"""The manager of an asyncio loop: however it ends, ``closed()`` comes once, and nothing is left."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.drivers.peer import Peer, Recorder, connect, tcp_pair, wait_until
from tests.drivers.tasks import TaskHost, host
from tests.drivers.test_tasks_async import AsyncEchoRecorder, AsyncRecorder
from ws4py_middleware.async_websocket import AsyncWebSocket
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.exchanges import Exchange
from ws4py_middleware.handover import from_socket
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import Message
from ws4py_middleware.process import get_task_manager
from ws4py_middleware.tasks import TaskManager
from ws4py_middleware.websocket import WebSocket

__all__ = ["host"]

GOING_AWAY = (1001, "Server is shutting down")
KINDS = [Recorder, AsyncRecorder]


def cancel(host: TaskHost, websocket: WebSocket) -> None:
    task = host.manager.task_of(websocket)
    assert task is not None
    host.loop.call_soon_threadsafe(task.cancel)


class Waiting(AsyncRecorder):
    """A handler whose hook waits for longer than any test."""

    inside = False

    async def after_message(self, message: Message) -> None:
        self.inside = True
        await asyncio.sleep(100)


class Blocking(Recorder):
    """A handler whose hook blocks its thread."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = threading.Event()
        self.go_on = threading.Event()

    def on_message(self, message: Message) -> None:
        self.inside.set()
        assert self.go_on.wait(10)


# --- cancellation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_while_idle_closes_with_1001(host: TaskHost, kind: type[Recorder]) -> None:
    recorder, other = kind(), AsyncEchoRecorder()
    first, second = host.connect(recorder), host.connect(other)
    host.wait_until(lambda: recorder.seen)
    cancel(host, recorder)
    assert first.read_close() == GOING_AWAY
    assert host.wait_closed(recorder) == GOING_AWAY
    second.send("unharmed")
    assert second.read() == "unharmed"
    second.finish()


def test_cancelled_before_it_was_opened_has_no_hooks(host: TaskHost) -> None:
    recorder = AsyncRecorder()

    async def attach() -> Peer:
        peer = connect(host.manager, recorder)
        task = host.manager.task_of(recorder)
        assert task is not None
        task.cancel()
        return peer

    with host.run(attach()) as peer:
        peer.read_end()
    assert recorder.seen == []
    assert len(host.manager) == 0


def test_cancelled_in_a_hook_that_waits_closes_with_1001(
    host: TaskHost, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Waiting()
    peer = host.connect(recorder)
    peer.send("x")
    host.wait_until(lambda: recorder.inside)
    cancel(host, recorder)
    assert peer.read_close() == GOING_AWAY
    assert host.wait_closed(recorder) == GOING_AWAY
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_cancelled_again_in_closed_lets_go_of_everything(host: TaskHost) -> None:
    class Handler(AsyncRecorder):
        async def closed(self, code: int, reason: str | None = None) -> None:  # type: ignore[override]
            await super().closed(code, reason)
            await asyncio.sleep(100)

    recorder = Handler()
    peer = host.connect(recorder)
    cancel(host, recorder)
    host.wait_until(lambda: recorder.ends)
    cancel(host, recorder)
    peer.read_close()
    peer.read_end()
    host.wait_until(lambda: not len(host.manager))
    assert len(recorder.ends) == 1


def test_hook_that_waits_for_a_cancelled_task_is_a_failure(
    host: TaskHost, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(AsyncRecorder):
        async def after_message(self, message: Message) -> None:
            other = asyncio.ensure_future(asyncio.sleep(100))
            other.cancel()
            await other

    recorder = Handler()
    peer = host.connect(recorder)
    peer.send("x")
    if hasattr(asyncio.Task, "cancelling"):
        assert peer.answer() == (1011, "internal error")
        assert len([record for record in caplog.records if record.exc_info]) == 1
    else:
        assert peer.read_close() == GOING_AWAY
    host.wait_closed(recorder)


def test_cancelled_while_a_thread_has_the_turn_tells_the_end_when_that_returns(host: TaskHost) -> None:
    recorder = Blocking()
    peer = host.connect(recorder)
    peer.send("x")
    assert recorder.inside.wait(10)
    began = time.monotonic()
    cancel(host, recorder)
    assert peer.read_close() == GOING_AWAY
    assert time.monotonic() - began < 0.5
    peer.read_end()
    host.wait_until(lambda: not len(host.manager))
    assert recorder.ends == []
    recorder.go_on.set()
    assert recorder.wait_closed() == GOING_AWAY


def test_cancelled_while_its_turn_waits_for_a_thread(host: TaskHost) -> None:
    host.manager.max_threads = 1
    blocking, waiting = Blocking(), Recorder()
    first, second = host.connect(blocking), host.connect(waiting)
    host.wait_until(lambda: waiting.seen)
    first.send("x")
    assert blocking.inside.wait(10)
    second.send("never delivered")
    host.wait_until(lambda: waiting._link is not None and not host.manager._seats[waiting._link].readable)
    time.sleep(0.02)
    cancel(host, waiting)
    assert second.read_close() == GOING_AWAY
    blocking.go_on.set()
    assert host.wait_closed(waiting) == GOING_AWAY
    first.finish()
    host.wait_closed(blocking)


@pytest.mark.parametrize("kind", KINDS)
def test_end_of_asyncio_run_closes_with_1001(kind: type[Recorder]) -> None:
    """It cancels all tasks, and waits for them."""
    recorder = kind()

    async def main() -> Peer:
        peer = connect(get_task_manager(), recorder)
        while not recorder.seen:
            await asyncio.sleep(0.001)
        return peer

    peer = asyncio.run(main())
    assert peer.read_close() == GOING_AWAY
    peer.read_end()
    peer.sock.close()
    assert recorder.wait_closed() == GOING_AWAY


@pytest.mark.parametrize("kind", KINDS)
def test_stop_of_a_loop_that_is_closed_already(kind: type[Recorder]) -> None:
    loop = asyncio.new_event_loop()
    recorder = kind()

    async def attach() -> tuple[TaskManager, Peer]:
        manager = TaskManager()
        peer = connect(manager, recorder)
        while not recorder.seen:
            await asyncio.sleep(0.001)
        return manager, peer

    manager, peer = loop.run_until_complete(attach())
    tasks: set[Any] = asyncio.all_tasks(loop)
    loop.close()
    recorder.send("nobody hears it; but it does no harm")
    manager.stop()
    assert len(manager) == 0
    assert recorder.terminated
    assert len(recorder.ends) == 1
    list(peer.frames())
    peer.sock.close()
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()


# --- shutdown -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_shutdown_async_waits_and_drops_who_does_not_answer(host: TaskHost, kind: type[Recorder]) -> None:
    polite, deaf = kind(), kind()
    first, second = host.connect(polite), host.connect(deaf)
    host.wait_until(lambda: polite.seen and deaf.seen)
    join = host.spawn(lambda: host.run(host.manager.shutdown_async(0.3)))
    assert first.answer() == GOING_AWAY
    assert second.read_close() == GOING_AWAY
    join()
    second.read_end()
    assert polite.wait_closed() == (1001, "")
    assert deaf.wait_closed() == (1006, "Going away")
    assert len(host.manager) == 0
    with pytest.raises(HandshakeError, match="about to restart"):
        host.manager.check_capacity(WebSocket.policy)


def test_shutdown_async_from_a_hook_does_not_wait_for_itself(host: TaskHost) -> None:
    class Handler(AsyncRecorder):
        async def after_message(self, message: Message) -> None:
            began = time.monotonic()
            await host.manager.shutdown_async(5)
            assert time.monotonic() - began < 1

    recorder = Handler()
    peer = host.connect(recorder)
    peer.send("x")
    assert peer.read_close() == GOING_AWAY
    peer.read_end()
    assert host.wait_closed(recorder)[0] == 1006


def test_shutdown_async_does_not_wait_for_a_thread_that_blocks(host: TaskHost) -> None:
    recorder = Blocking()
    peer = host.connect(recorder)
    peer.send("x")
    assert recorder.inside.wait(10)
    host.run(host.manager.shutdown_async(0.05))
    assert peer.read_close() == GOING_AWAY
    peer.read_end()
    recorder.go_on.set()
    assert recorder.wait_closed()[0] == 1006


def test_shutdown_async_tells_a_hook_that_waits_for_ever(host: TaskHost) -> None:
    recorder = Waiting()
    peer = host.connect(recorder)
    peer.send("x")
    wait_until(lambda: recorder.inside)
    host.run(host.manager.shutdown_async(0.05))
    assert recorder.ends == [(1006, "Going away")]
    assert peer.read_close() == GOING_AWAY


def test_cancelled_while_others_block_all_threads_tells_the_end_when_there_is_one(host: TaskHost) -> None:
    host.manager.max_threads = 1
    blocking, idle = Blocking(), Recorder()
    host.connect(idle)
    wait_until(lambda: idle.seen == [("opened",)])
    peer = host.connect(blocking)
    peer.send("x")
    assert blocking.inside.wait(10)
    task = host.call(host.manager.task_of, idle)
    assert task is not None
    host.call(task.cancel)
    wait_until(task.done)
    blocking.go_on.set()
    assert idle.wait_closed()[0] == 1001


def test_shutdown_in_the_loop_is_refused(host: TaskHost) -> None:
    with pytest.raises(RuntimeError, match="shutdown_async"):
        host.call(host.manager.shutdown)


def test_stop_in_the_loop_ends_all_soon(host: TaskHost) -> None:
    recorder = AsyncRecorder()
    peer = host.connect(recorder)
    host.wait_until(lambda: recorder.seen)
    host.call(host.manager.stop)
    peer.read_end()
    assert host.wait_closed(recorder) == (1006, "Going away")


# --- faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["recv", "send", "interest"])
def test_fault_costs_one_connection(
    host: TaskHost, kind: type[Recorder], method: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, other = kind(), AsyncEchoRecorder()
    first, second = host.connect(recorder, ping_interval=0.05), host.connect(other)
    host.wait_until(lambda: recorder.seen)
    link = recorder._link
    assert link is not None
    link.transport = MagicMock(wraps=link.transport)
    getattr(link.transport, method).side_effect = ArithmeticError("a bug")
    if method == "interest":
        host.call(host.manager.writable, link)
        link.on_fault(ArithmeticError("a bug"))
    first.send("x")
    host.wait_until(lambda: recorder.ends)
    assert recorder.wait_closed()[0] == 1006
    second.send("unharmed")
    assert second.read() == "unharmed"
    second.finish()
    host.wait_until(lambda: not len(host.manager))
    assert [record for record in caplog.records if record.exc_info]


# --- the rest -----------------------------------------------------------------------------------------------


def test_manager_of_the_loop_is_one_for_each_loop() -> None:
    async def get() -> tuple[TaskManager, TaskManager]:
        await asyncio.sleep(0)
        return get_task_manager(), get_task_manager()

    first, again = asyncio.run(get())
    other, _ = asyncio.run(get())
    assert first is again
    assert other is not first
    assert not first.is_ready
    with pytest.raises(RuntimeError):
        get_task_manager()


def test_wait_released_returns_after_closed_and_its_cancellation_ends_nothing(host: TaskHost) -> None:
    recorder = AsyncEchoRecorder()
    peer = host.connect(recorder)
    waiting = asyncio.run_coroutine_threadsafe(host.manager.wait_released(recorder), host.loop)
    with pytest.raises(asyncio.TimeoutError):
        host.run(asyncio.wait_for(host.manager.wait_released(recorder), 0.01))
    peer.send("still here")
    assert peer.read() == "still here"
    assert not waiting.done()
    peer.finish()
    waiting.result(10)
    assert recorder.ends == [(1000, "")]
    host.run(host.manager.wait_released(recorder))
    assert host.manager.task_of(recorder) is None


def test_add_and_remove_of_a_websocket_made_by_hand(host: TaskHost) -> None:
    client, server = tcp_pair()
    recorder = AsyncEchoRecorder(sock=server)
    host.call(host.manager.add, recorder)
    host.call(host.manager.add, recorder)
    with Peer(client) as peer:
        peer.send("hello")
        assert peer.read() == "hello"
        host.call(host.manager.remove, recorder)
        host.call(host.manager.remove, recorder)
        assert len(host.manager) == 0
        peer.send("not read")
        host.sleep(0.02)
    assert recorder.seen == [("opened",), ("message", "hello")]
    assert recorder._link is not None
    host.call(recorder._link.transport.close)


def test_remove_in_a_hook_and_what_a_server_has_at_hand_is_not_taken(host: TaskHost) -> None:
    class Leaving(AsyncWebSocket):
        def received_message(self, message: Message) -> None:
            seen.append(str(message))
            host.manager.remove(self)

    seen: list[str] = []
    texts = ["a", "b", "c"]

    async def serve() -> None:
        parked = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await (parked if texts else asyncio.Event()).wait()
            return {"type": "websocket.receive", "text": texts.pop(0)}

        async def send(message: Any) -> None: ...

        leaving = Leaving()
        exchange = Exchange({}, receive, send, -9)
        host.manager.attach(leaving, exchange, conn=host.manager.make_relay(leaving.policy))
        link = leaving._ensure_link()
        exchange.start(lambda: None, lambda: None, host.manager.get_taker(link))
        while not host.manager._seats[link].is_parked:
            await asyncio.sleep(0)
        parked.set()
        while texts:
            await asyncio.sleep(0)
        await exchange.stop()

    host.run(serve())
    assert seen == ["a"]


def test_async_handler_is_refused_by_managers_without_a_loop() -> None:
    client, server = tcp_pair()
    with pytest.raises(TypeError, match="AsyncRecorder is an asyncio WebSocket, and WebSocketManager"):
        WebSocketManager().attach(AsyncRecorder(), from_socket(server))
    client.close()
    server.close()


def test_threads_of_hooks_are_bounded(host: TaskHost) -> None:
    """And those whose turn has not come yet lose nothing."""
    host.manager.max_threads = 2
    inside = 0
    most = 0
    lock = threading.Lock()

    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.005)
            with lock:
                inside -= 1
            self.send(message)

    recorders = [Handler() for _ in range(10)]
    peers = [host.connect(recorder) for recorder in recorders]
    for number in range(3):
        for peer in peers:
            peer.send(str(number))
    for number in range(3):
        for peer in peers:
            assert peer.read() == str(number)
    assert most == 2
    for peer in peers:
        peer.finish()


def test_sink_is_swallowed_and_closed(host: TaskHost) -> None:
    for end in ("close", "reset"):
        client, server = tcp_pair()
        dummy, sink = tcp_pair()
        sink.setblocking(False)

        def attach(server: Any = server, sink: Any = sink) -> None:
            host.manager.attach(AsyncRecorder(), from_socket(server), sink=sink)

        host.call(attach)
        dummy.sendall(b"HTTP/1.1 500 Internal Server Error\r\n\r\n" * 1000)
        if end == "reset":
            Peer(dummy).reset()
        else:
            dummy.close()
        wait_until(lambda sink=sink: sink.fileno() == -1)  # type: ignore[misc]
        Peer(client).finish()
