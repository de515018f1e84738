"""Exchanges: an ASGI server's two callables as a transport; the server is the test."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any

import pytest

from tests.core.wire import describe
from ws4py_middleware.core.events import Event, MessageReceived
from ws4py_middleware.core.relay import SendClose, SendMessage
from ws4py_middleware.exchanges import Exchange
from ws4py_middleware.steps import Taker

Message = MutableMapping[str, Any]


class Server:
    """Bring what the test puts, and take what it is given, when it may."""

    def __init__(self) -> None:
        self.to_bring: asyncio.Queue[Message] = asyncio.Queue()
        self.asked = 0
        self.taken: list[Message] = []
        self.may_take = asyncio.Event()
        self.may_take.set()
        self.error: Exception | None = None
        self.calls: list[str] = []
        self.exchange = Exchange(
            {"server": ["127.0.0.1", "80"], "client": ("10.0.0.7", 50000)}, self.receive, self.send, -7
        )
        self.exchange.start(lambda: self.calls.append("readable"), lambda: self.calls.append("writable"))

    async def receive(self) -> Message:
        self.asked += 1
        message = await self.to_bring.get()
        if message["type"] == "error":
            raise RuntimeError("the server's own fault")
        return message

    async def send(self, message: Message) -> None:
        await self.may_take.wait()
        if self.error is not None:
            raise self.error
        self.taken.append(message)

    def bring(self, text: str) -> None:
        self.to_bring.put_nowait({"type": "websocket.receive", "text": text})

    def events(self) -> list[tuple[object, ...]]:
        return [describe(event) for event in self.exchange.recv() or ()]

    def give(self, *texts: str, taken: int = 0) -> tuple[SendMessage, ...]:
        items = tuple(SendMessage(text.encode(), True) for text in texts)
        assert self.exchange.send(items) == taken
        return items[taken:]


async def until(condition: Callable[[], object]) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(poll(), 5)


def run(test: Callable[[Server], Awaitable[None]]) -> None:
    async def main() -> None:
        server = Server()
        try:
            await test(server)
        finally:
            await server.exchange.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_facts_of_the_scope() -> None:
    async def test(server: Server) -> None:
        exchange = server.exchange
        assert exchange.fileno() == -7
        assert (exchange.local_address, exchange.peer_address) == (("127.0.0.1", 80), ("10.0.0.7", 50000))
        assert exchange.interest(True, False) == (True, False)
        exchange.shutdown_write()
        unix = Exchange({"server": ["/run/app.sock", None]}, server.receive, server.send, -8)
        assert (unix.local_address, unix.peer_address) == ("/run/app.sock", "")

    run(test)


def test_recv_messages_and_the_end_in_order() -> None:
    async def test(server: Server) -> None:
        assert server.exchange.recv() is None
        server.bring("ä")
        server.to_bring.put_nowait({"type": "websocket.receive", "bytes": b"\xff", "text": None})
        server.to_bring.put_nowait({"type": "websocket.disconnect", "code": 4000, "reason": "bye"})
        await until(lambda: server.exchange.pending() == 3)
        assert server.calls.count("readable") == 3
        assert server.events() == [("text", "ä".encode()), ("binary", b"\xff"), ("close", 4000, "bye")]
        assert server.exchange.pending() == 0

    run(test)


@pytest.mark.parametrize(("text", "bound"), [("x", 16), ("x" * 30_000, 3)])
def test_recv_reads_ahead_within_bounds(text: str, bound: int) -> None:
    async def test(server: Server) -> None:
        for _ in range(100):
            server.bring(text)
        await until(lambda: server.exchange.pending() == bound)
        await asyncio.sleep(0.01)
        assert server.asked == bound
        total = 0
        while total < 100:
            total += len(server.events())
            await asyncio.sleep(0)

    run(test)


def test_disconnect_without_a_code_is_1005_and_a_broken_receive_1006() -> None:
    for message, code in (({"type": "websocket.disconnect"}, 1005), ({"type": "error"}, 1006)):

        async def test(server: Server, message: Message = message, code: int = code) -> None:
            server.to_bring.put_nowait(message)
            await until(server.exchange.pending)
            assert server.events() == [("close", code, "")]
            server.exchange.end()  # again
            assert server.events() == []

        run(test)


def test_text_may_be_of_a_class_of_its_own_and_nothing_else_passes_for_text() -> None:
    class Word(str):
        def __str__(self) -> str:
            return "not this"

    async def test(server: Server) -> None:
        server.bring(Word("ä"))
        server.to_bring.put_nowait({"type": "websocket.receive", "text": b"bytes"})
        await until(lambda: server.exchange.pending() == 2)
        assert server.events() == [("text", "ä".encode()), ("close", 1006, "")]

    run(test)


def test_send_counts_as_sent_when_the_server_has_taken_it() -> None:
    async def test(server: Server) -> None:
        server.may_take.clear()
        items = server.give("a", "b")
        await asyncio.sleep(0.01)
        assert server.exchange.send(items) == 0
        assert "writable" not in server.calls
        server.may_take.set()
        await until(lambda: "writable" in server.calls)
        assert server.exchange.send(items) == 2
        assert server.taken == [
            {"type": "websocket.send", "text": "a"},
            {"type": "websocket.send", "text": "b"},
        ]

    run(test)


def test_send_from_another_thread_wakes_the_loop() -> None:
    async def test(server: Server) -> None:
        thread = threading.Thread(target=server.give, args=("from a thread",))
        thread.start()
        await until(lambda: server.taken)
        thread.join()

    run(test)


def test_send_to_a_client_that_has_left_takes_all_and_the_end_comes() -> None:
    async def test(server: Server) -> None:
        server.error = OSError("gone")
        server.give("a", taken=1)
        server.give("b", "c", taken=2)
        # What the server says of it counts, if it says something within a second.
        server.to_bring.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await until(server.exchange.pending)
        assert server.events() == [("close", 1001, "")]

    run(test)


def test_client_that_leaves_while_the_server_takes_something_takes_all() -> None:
    async def test(server: Server) -> None:
        server.may_take.clear()
        items = server.give("a")
        server.error = OSError("gone")
        server.may_take.set()
        await until(lambda: "writable" in server.calls)
        assert server.exchange.send(items) == 1
        server.give("b", taken=1)

    run(test)


def test_send_is_taken_at_once_as_far_as_the_server_does_not_wait() -> None:
    async def test(server: Server) -> None:
        server.give("a", "b", taken=2)
        assert [message["text"] for message in server.taken] == ["a", "b"]
        take = server.send

        async def send(message: Message) -> None:
            if message["text"] == "d":
                server.may_take.clear()
            await take(message)

        server.exchange._send = send
        items = server.give("c", "d", "e", taken=1)
        assert [message["text"] for message in server.taken] == ["a", "b", "c"]
        assert server.exchange.send(items) == 0
        server.may_take.set()
        await until(lambda: "writable" in server.calls)
        assert server.exchange.send(items) == 2
        assert [message["text"] for message in server.taken] == ["a", "b", "c", "d", "e"]

    run(test)


def test_send_is_one_task_and_one_context_to_the_server_wherever_it_begins() -> None:
    async def test(server: Server) -> None:
        number: contextvars.ContextVar[int] = contextvars.ContextVar("number")
        seen: list[object] = []

        async def send(message: Message) -> None:
            token = number.set(1)
            task = asyncio.current_task()
            await server.may_take.wait()
            assert asyncio.current_task() is task
            number.reset(token)  # would raise in another context
            seen.append(task)

        server.exchange._send = send
        server.give("a", taken=1)
        asyncio.get_running_loop().call_soon(server.give, "b")
        server.may_take.clear()
        await asyncio.sleep(0)
        server.may_take.set()
        await until(lambda: len(seen) == 2)
        assert seen[0] is seen[1] is not None
        assert seen[0] is not asyncio.current_task()

    run(test)


def test_send_within_the_servers_send_waits_for_its_end() -> None:
    async def test(server: Server) -> None:
        inner = (SendMessage(b"inner", True),)
        answers: list[int] = []

        async def send(message: Message) -> None:
            if message["text"] == "outer":
                answers.append(server.exchange.send(inner))
            server.taken.append(message)

        server.exchange._send = send
        server.give("outer", taken=1)
        assert answers == [0]
        await until(lambda: "writable" in server.calls)
        assert server.exchange.send(inner) == 1
        assert [message["text"] for message in server.taken] == ["outer", "inner"]

    run(test)


def test_send_that_is_stuck_is_cancelled_at_the_end() -> None:
    async def test(server: Server) -> None:
        ends: list[str] = []

        async def send(message: Message) -> None:
            if message["type"] == "websocket.close":
                return
            try:
                await asyncio.Event().wait()
            finally:
                ends.append(message["text"])

        server.exchange._send = send
        server.give("a")  # its task has not even looked at it
        await server.exchange.stop()
        assert ends == ["a"]

    run(test)


def test_message_is_taken_as_it_comes_unless_others_wait() -> None:
    async def test(server: Server) -> None:
        taken: list[object] = []
        takes = True

        class Takes(Taker):
            def take(self, message: MessageReceived, now: float) -> bool:
                if takes:
                    taken.append(describe(message))
                return takes

        await server.exchange.stop()
        server.exchange = Exchange({}, server.receive, server.send, -8)
        server.exchange.start(lambda: server.calls.append("readable"), lambda: None, Takes())
        server.bring("a")
        await until(lambda: taken == [("text", b"a")])
        assert server.calls == []
        takes = False
        server.bring("b")
        await until(server.exchange.pending)
        takes = True
        server.bring("c")
        await until(lambda: server.exchange.pending() == 2)
        assert server.events() == [("text", b"b"), ("text", b"c")]
        server.bring("d")
        await until(lambda: taken[1:] == [("text", b"d")])

    run(test)


def test_text_that_is_sent_back_is_what_came_and_nothing_else_is() -> None:
    async def test(server: Server) -> None:
        class Echo(Taker):
            def take(self, message: MessageReceived, now: float) -> bool:
                other = SendMessage(b"other", True)
                items = SendMessage(message.data, True), other, SendMessage(message.data, False)
                return server.exchange.send(items) == 3

        await server.exchange.stop()
        server.exchange = Exchange({}, server.receive, server.send, -8)
        server.exchange.start(lambda: None, lambda: None, Echo())
        server.taken.clear()
        text = "\N{SNOWMAN} comes"
        server.bring(text)
        await until(lambda: len(server.taken) == 3)
        assert server.taken[0]["text"] is text
        assert server.taken[1]["text"] == "other"
        assert server.taken[2]["bytes"] == text.encode()
        assert server.exchange._heard is None

    run(test)


def test_others_have_their_turn_while_a_server_has_many_messages() -> None:
    async def test(server: Server) -> None:
        rounds: list[int] = []
        taken: list[Event] = []

        class Takes(Taker):
            def take(self, message: MessageReceived, now: float) -> bool:
                taken.append(message)
                end = monotonic() + 0.001
                while monotonic() < end:
                    pass
                return True

        def count() -> None:
            rounds.append(len(taken))
            if len(taken) < 200:
                asyncio.get_running_loop().call_soon(count)

        await server.exchange.stop()
        server.exchange = Exchange({}, server.receive, server.send, -8)
        for number in range(200):
            server.bring(str(number))
        server.exchange.start(lambda: None, lambda: None, Takes())
        count()
        await until(lambda: len(taken) == 200)
        assert len(set(rounds)) > 10

    run(test)


def test_disconnect_frees_who_is_stuck() -> None:
    async def test(server: Server) -> None:
        server.may_take.clear()
        items = server.give("a")
        server.to_bring.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await until(lambda: "writable" in server.calls)
        assert server.exchange.send(items) == 1

    run(test)


def test_close_is_sent_while_nobody_receives() -> None:
    async def test(server: Server) -> None:
        await until(lambda: server.asked == 1)
        assert server.exchange.send((SendClose(4001, "bye"),)) == 0
        await until(lambda: server.taken)
        assert server.taken == [{"type": "websocket.close", "code": 4001, "reason": "bye"}]
        # And asked again: the end is still to come.
        await until(lambda: server.asked == 2)
        server.to_bring.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await until(server.exchange.pending)

    run(test)


def test_close_with_a_code_that_the_server_cannot_send_is_told_by_another() -> None:
    async def test(server: Server) -> None:
        async def refuse(message: Message) -> None:
            if message["code"] < 3000:
                raise ValueError("invalid close code")
            server.taken.append(message)

        server.exchange._send = refuse
        server.exchange.send((SendClose(1001, ""),))
        await until(lambda: server.taken)
        assert server.taken[0]["code"] == 4001

    run(test)


def test_stop_closes_what_nobody_has_closed() -> None:
    async def test(server: Server) -> None:
        await server.exchange.stop()
        assert [message["type"] for message in server.taken] == ["websocket.close"]

    run(test)


def test_drain_waits_until_it_is_done() -> None:
    async def test(server: Server) -> None:
        server.may_take.clear()
        server.give("a")
        waiting = asyncio.ensure_future(server.exchange.drain(lambda: bool(server.taken)))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        server.may_take.set()
        await asyncio.wait_for(waiting, 5)

    run(test)


def test_cancelled_by_the_loop_the_end_comes_all_the_same() -> None:
    async def test(server: Server) -> None:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await until(server.exchange.pending)
        assert server.events() == [("close", 1006, "")]

    run(test)
