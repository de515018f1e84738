"""AsyncWebSocketClient and a server that does what the test says: first frames, last ones, giving up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.wire import CLOSE, build_close, build_frame
from tests.entrances.asyncio_client import run
from tests.entrances.scripted import BOUND, Visit, scripted, text
from tests.entrances.test_client_async import AsyncRecorder, Recorder
from tests.servers import client_context, server_context
from ws4py_middleware.client.asyncclient import AsyncWebSocketClient
from ws4py_middleware.exc import ConnectionClosed, HandshakeError
from ws4py_middleware.messaging import Message

#: From Python 3.12 on tasks may be started in create_task() already.
FACTORIES = [None, *filter(None, [getattr(asyncio, "eager_task_factory", None)])]


def echo(visit: Visit) -> None:
    visit.accept()
    visit.echo()


def silent(visit: Visit) -> None:
    visit.wait_end()


def deaf(visit: Visit) -> None:
    """Open, and answer nothing any more."""
    visit.accept()
    visit.wait_end()


# --- what comes with the 101 ------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("how", ["hook", "async hook", "receive"])
@pytest.mark.parametrize("count", [1, 3, 1000])
def test_frames_that_come_with_the_101_are_all_delivered(count: int, how: str, tls: bool) -> None:
    messages = [f"message {number}" for number in range(count)]

    def script(visit: Visit) -> None:
        visit.accept(b"".join(map(text, messages)) + build_close(1001, b"bye"))
        assert visit.read_frame()[0] == CLOSE

    async def main() -> None:
        if how == "receive":
            client = AsyncWebSocketClient(server.url, ssl_options=client_context())
            await client.connect()
            await asyncio.sleep(0.05)  # nobody asks yet
            assert [str(message) async for message in client] == messages
        else:
            client = recorder = (AsyncRecorder if how == "async hook" else Recorder)(server.url)
            await client.connect()
            await client.run()
            assert recorder.seen == [("opened",), *[(each,) for each in messages], ("closed", 1001, "bye")]
        await client.run()

    with scripted(script, tls=server_context() if tls else None) as server:
        run(main())


def test_a_server_may_speak_byte_by_byte() -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        for byte in visit.build_101() + text("slowly") + build_close(4321, b"end"):
            visit.send(bytes([byte]))
            time.sleep(0.0005)
        assert visit.read_frame()[0] == CLOSE

    async def main() -> None:
        client = Recorder(server.url)
        async with client:
            await client.run()
        assert client.seen == [("opened",), ("slowly",), ("closed", 4321, "end")]

    with scripted(script) as server:
        run(main())


@pytest.mark.parametrize("factory", FACTORIES)
def test_none_is_lost_whenever_the_loop_starts_its_tasks(factory: Any) -> None:
    messages = [f"message {number}" for number in range(100)]

    def script(visit: Visit) -> None:
        visit.accept(b"".join(map(text, messages)) + build_close(1001, b"bye"))
        assert visit.read_frame()[0] == CLOSE

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        async with AsyncWebSocketClient(server.url) as client:
            assert [str(message) async for message in client] == messages
        recorder = Recorder(server.url)
        await recorder.connect()
        await recorder.run()
        assert recorder.seen == [("opened",), *[(each,) for each in messages], ("closed", 1001, "bye")]

    with scripted(script) as server:
        run(main())


# --- what goes wrong in the opening ---------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Swit", b"SSH-2.0-OpenSSH\r\n", b"\0" * 1_000_000])
@pytest.mark.parametrize("kind", ["ws", "wss"])
def test_what_is_no_answer_is_a_handshakeerror(answer: bytes, kind: str) -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        visit.send(answer)

    async def main() -> None:
        client = AsyncWebSocketClient(server.url, ssl_options=client_context())
        with pytest.raises(HandshakeError) as caught:
            await client.connect()
        assert caught.value.status == 0
        with pytest.raises(ConnectionClosed, match="connect"):
            await client.send("x")
        with pytest.raises(ConnectionClosed, match="connect"):
            await client.receive()
        await client.close()

    with scripted(script, tls=server_context() if kind == "wss" else None) as server:
        run(main())


def test_all_of_it_has_one_deadline_however_steadily_the_answer_comes() -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        for byte in visit.build_101():
            visit.send(bytes([byte]))
            time.sleep(0.05)

    async def main() -> None:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"the opening handshake was not done within 0\.3 s"):
            await AsyncWebSocketClient(server.url, open_timeout=0.3).connect()
        assert time.monotonic() - began < 1

    with scripted(script) as server:
        run(main())


@pytest.mark.parametrize("script", [silent, deaf])
def test_to_cancel_connect_leaves_nothing_and_it_may_be_called_again(script: Callable[[Visit], None]) -> None:
    async def main() -> None:
        client = Recorder(server.url, close_timeout=0.1)
        for rounds in range(20):
            task = asyncio.create_task(client.connect())
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                client.terminate()
            if client._link is not None:
                await client.run()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(AsyncWebSocketClient(quiet.url, open_timeout=None).connect(), 0.1)

    with scripted(script) as server, scripted(silent) as quiet:
        run(main())


def test_connect_at_the_same_time_twice_is_a_runtimeerror() -> None:
    async def main() -> None:
        client = AsyncWebSocketClient(server.url)
        first = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="about to be connected"):
            await client.connect()
        await first
        async with client:
            await client.send("once")
            assert str(await client.receive(5)) == "once"

    with scripted(echo) as server:
        run(main())


# --- the end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "code"), [(None, 1000), (KeyError, 1011), (asyncio.CancelledError, 1001)])
def test_async_with_makes_the_closing_handshake(error: type[BaseException] | None, code: int) -> None:
    said: list[bytes] = []

    def script(visit: Visit) -> None:
        visit.accept()
        said.append(visit.answer_close())
        visit.wait_end()
        said.append(b"end")

    async def main() -> None:
        client = Recorder(server.url)
        with contextlib.nullcontext() if error is None else pytest.raises(error):
            async with client:
                if error is not None:
                    raise error
        assert client.seen == [("opened",), ("closed", code, "")]
        assert client.sock.fileno() == -1

    with scripted(script) as server:
        run(main())
    assert said == [code.to_bytes(2, "big"), b"end"]


def test_a_server_that_does_not_answer_close_is_left() -> None:
    async def main() -> None:
        began = time.monotonic()
        client = Recorder(server.url, close_timeout=0.2)
        async with client:
            pass
        assert time.monotonic() - began < 2
        assert client.seen[-1][:2] == ("closed", 1006)

    with scripted(deaf) as server:
        run(main())


class Stuck(Recorder):
    async def received_message(self, message: Message) -> None:
        self.note("message")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.note("cancelled")
            raise


def test_a_hook_that_never_returns_is_cancelled_at_the_end_of_the_block() -> None:
    async def main() -> None:
        client = Stuck(server.url, close_timeout=0.1)
        async with client:
            await client.send("x")
            while len(client.seen) < 2:
                await asyncio.sleep(0.001)
            await client.close()
            with pytest.raises(TimeoutError, match="a hook of the last connection"):
                await client.connect()
        assert [what[0] for what in client.seen] == ["opened", "message", "cancelled", "closed"]

    with scripted(echo) as server:
        run(main())


def test_a_hook_that_fails_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Recorder):
        async def opened(self) -> None:
            raise ZeroDivisionError

    async def main() -> None:
        client = Broken(server.url)
        await client.connect()
        await client.run()
        assert client.seen == [("closed", 1011, "internal error")]

    with scripted(echo) as server:
        run(main())
    assert "its connection is closed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_who_reconnects_in_closed_goes_on() -> None:
    def script(visit: Visit) -> None:
        visit.accept(text(f"visit {len(server.visits)}") + build_close(1001, b""))
        assert visit.read_frame()[0] == CLOSE

    class Faithful(Recorder):
        async def closed(self, code: int, reason: str | None = None) -> None:
            self.note("closed", code)
            if len(self.seen) < 9:
                await self.connect()

    async def main() -> None:
        client = Faithful(server.url)
        await client.connect()
        await client.run()
        assert client.seen == [
            each for number in (1, 2, 3) for each in (("opened",), (f"visit {number}",), ("closed", 1001))
        ]

    with scripted(script) as server:
        run(main())


def test_a_lost_connection_is_1006_and_ends_receive() -> None:
    def script(visit: Visit) -> None:
        visit.accept(text("last") + build_frame(1, b"half", fin=False))

    async def main() -> None:
        client = Recorder(server.url)
        await client.connect()
        await client.run()
        assert client.seen[:2] == [("opened",), ("last",)]
        assert client.seen[2][:2] == ("closed", 1006)
        async with AsyncWebSocketClient(server.url) as plain:
            assert [str(message) async for message in plain] == ["last"]
            assert await plain.receive(1) is None

    with scripted(script) as server:
        run(main())


def test_the_end_of_the_loop_tells_the_server(caplog: pytest.LogCaptureFixture) -> None:
    said: list[bytes] = []
    clients: list[Recorder] = []

    def script(visit: Visit) -> None:
        visit.accept()
        said.append(visit.answer_close())

    async def main() -> None:
        clients.append(AsyncRecorder(server.url))
        await clients[0].connect()

    with scripted(script) as server:
        asyncio.run(main())
        server.thread.join(0)
        client = clients[0]
        assert [what[0] for what in client.seen] == ["opened", "closed"]
        # The same client, in another loop.
        client.seen.clear()

        async def again() -> None:
            async with client:
                pass

        run(again())
    assert said == [b"\x03\xe9Server is shutting down", b"\x03\xe8"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_other_threads_may_send_and_close() -> None:
    async def main() -> None:
        client = Recorder(server.url)
        await client.connect()

        def work() -> None:
            for number in range(100):
                client.send(f"{number}")
            client.close(4000, "from a thread")

        thread = threading.Thread(target=work)
        thread.start()
        await client.run()
        thread.join(BOUND)
        assert client.seen == [
            ("opened",),
            *[(str(number),) for number in range(100)],
            ("closed", 4000, "from a thread"),
        ]

    with scripted(echo) as server:
        run(main())


def test_with_and_for_say_what_to_write() -> None:
    client: Any = AsyncWebSocketClient("ws://localhost/")
    with pytest.raises(TypeError, match="async with"), client:
        pass
    with pytest.raises(TypeError, match="async for"):
        iter(client)
    assert not client.is_open
    client.terminate()

    async def main() -> None:
        await client.close()
        with pytest.raises(ConnectionClosed, match="connect"):
            await client.run()

    run(main())
