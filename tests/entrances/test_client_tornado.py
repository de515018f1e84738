"""The client for tornado, in loops of tornado's and against its server."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any

import pytest
from tornado import gen, ioloop

from tests.entrances.scripted import Visit, no_leaks, scripted, text
from tests.entrances.tornado_host import tornado_server
from tests.servers import certificates, client_context, free_port, server_context, wait_for
from ws4py_middleware.client.backoff import Backoff
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.messaging import Message

#: Longer than anything takes; a test that waits so long has failed.
BOUND = 20.0


class Noting(TornadoWebSocketClient):
    """Write down which hooks are called, and in which thread."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[Any] = []
        self.threads: set[threading.Thread] = set()
        self.ended = threading.Event()

    def opened(self) -> None:
        self.note("opened")

    def received_message(self, message: Message) -> None:
        self.note(message.data)

    def closed(self, code: int, reason: str | None = None) -> None:
        self.note((code, reason))
        self.ended.set()

    def note(self, what: Any) -> None:
        self.seen.append(what)
        self.threads.add(threading.current_thread())


class Asking(Noting):
    """Say something, and leave with the answer."""

    def opened(self) -> None:
        super().opened()
        self.send("hello")

    def received_message(self, message: Message) -> None:
        super().received_message(message)
        self.close(4001, "bye")


class Stopping(Asking):
    """As the documents do it: with the connection, the loop ends."""

    def closed(self, code: int, reason: str | None = None) -> None:
        super().closed(code, reason)
        ioloop.IOLoop.current().stop()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = set(threading.enumerate())
    with no_leaks():
        yield
    wait_for(lambda: set(threading.enumerate()) <= before)


def run(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in a loop that is asked for its complaints; there may be none."""
    complaints = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await asyncio.wait_for(function(), BOUND)
        gc.collect()  # a future of which nobody has taken the exception says so only then
        await asyncio.sleep(0)

    asyncio.run(main())
    assert complaints == []


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), BOUND)


def in_thread(function: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def refuse(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")


# --- what works ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("compression", [False, True], ids=["plain", "deflate"])
def test_tornados_server_echoes_text_and_binary(tls: bool, compression: bool) -> None:
    with tornado_server(server_context() if tls else None) as server:

        async def main() -> None:
            client = TornadoWebSocketClient(
                server.url,
                protocols=["http-only", "chat"],
                ssl_options=client_context() if tls else None,
                compression=compression,
                max_message_size=2**23,
            )
            async with client:
                assert client.subprotocol == "http-only"
                assert bool(client.extensions) is compression
                for message in ("Grüße", b"\x00\xff", "", b"\x00\xff" * 2_500_000):
                    await client.send(message, binary=isinstance(message, bytes))
                    found = await client.receive(BOUND)
                    assert found is not None
                    assert (str(found) if found.is_text else found.data) == message
                client.close(4001, "bye")
                assert await client.receive(BOUND) is None
            await until(lambda: bool(server.ends))

        run(main)
        assert server.ends == [(4001, "bye")]


def test_connect_before_the_loop_runs_and_hooks_in_the_loop() -> None:
    with tornado_server() as server:
        clients = []

        def work() -> None:
            client = Stopping(server.url)
            clients.append(client)
            client.connect()
            assert client.seen == []
            loop = ioloop.IOLoop.current()
            loop.start()
            loop.close()

        threads = [in_thread(work) for _ in range(3)]
        for thread in threads:
            thread.join(BOUND)
        assert [client.seen for client in clients] == [["opened", b"hello", (4001, "")]] * 3
        # Each has had a thread, and a loop, of its own.
        assert {thread for client in clients for thread in client.threads} == set(threads)


def test_io_loop_says_where_and_any_thread_may_connect() -> None:
    with tornado_server() as server:
        loop = ioloop.IOLoop(make_current=False)
        thread = in_thread(loop.start)
        client = Asking(server.url, io_loop=loop)
        connecting = client.connect()
        assert client.ended.wait(BOUND)
        assert client.seen == ["opened", b"hello", (4001, "")]
        assert client.threads == {thread}
        assert connecting.done()
        loop.add_callback(loop.stop)
        thread.join(BOUND)
        loop.close()


def test_awaited_connect_returns_when_it_is_open() -> None:
    with tornado_server() as server:

        async def main() -> None:
            client = Noting(server.url)
            await client.connect()
            assert client.seen == ["opened"]
            assert client.is_open
            await client.send("hello")
            await until(lambda: client.seen == ["opened", b"hello"])
            client.close()
            await until(client.ended.is_set)
            assert client.seen[2:] == [(1000, "")]

        run(main)


def test_tornados_ways_to_wait_for_a_future() -> None:
    with tornado_server() as server:
        client = Noting(server.url)

        @gen.coroutine
        def decorated() -> Generator[Any, Any, str]:
            yield client.connect()
            client.close()
            return "done"

        def work() -> None:
            loop = ioloop.IOLoop()
            assert loop.run_sync(decorated, BOUND) == "done"
            refused = Noting(f"ws://127.0.0.1:{free_port()}/")
            with pytest.raises(ConnectionRefusedError):
                loop.run_sync(refused.connect, BOUND)
            assert refused.seen == []
            loop.run_sync(lambda: until(client.ended.is_set), BOUND)
            loop.close()

        in_thread(work).join(BOUND)
        assert client.seen == ["opened", (1000, "")]


def test_hooks_may_be_async() -> None:
    class Client(Noting):
        async def opened(self) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            await self.send("hello")
            self.note("opened")

        async def received_message(self, message: Message) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            self.note(message.data)
            await self.close()

        async def closed(self, code: int, reason: str | None = None) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            super().closed(code, reason)

    with tornado_server() as server:

        async def main() -> None:
            client = Client(server.url)
            client.connect()
            await until(client.ended.is_set)
            assert client.seen == ["opened", b"hello", (1000, "")]
            refused = Client(f"ws://127.0.0.1:{free_port()}/")
            refused.connect()
            await until(refused.ended.is_set)
            assert refused.seen[0][0] == 1006

        run(main)


def test_connect_in_closed_connects_anew() -> None:
    class Client(Asking):
        def closed(self, code: int, reason: str | None = None) -> None:
            self.note((code, reason))
            if self.seen.count("opened") < 3:
                self.connect()
            else:
                self.ended.set()

    with tornado_server() as server:

        async def main() -> None:
            client = Client(server.url)
            client.connect()
            await until(client.ended.is_set)
            assert client.seen == ["opened", b"hello", (4001, "")] * 3

        run(main)
        assert len(server.peers) == 3


def test_connect_in_closed_tries_until_somebody_listens() -> None:
    class Client(Asking):
        async def closed(self, code: int, reason: str | None = None) -> None:  # type: ignore[override]
            self.note(code)
            if code == 1006:
                await asyncio.sleep(0.02)
                self.connect()
            else:
                self.ended.set()

    async def main() -> None:
        port = free_port()
        client = Client(f"ws://127.0.0.1:{port}/echo")
        client.connect()
        await until(lambda: len(client.seen) >= 2)
        assert set(client.seen) == {1006}
        with tornado_server(port=port):
            await until(client.ended.is_set)
        assert client.seen[-3:] == ["opened", b"hello", 4001]

    run(main)


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("end", ["close", "drop", "linger"])
def test_loop_that_is_stopped_in_closed_has_nothing_left(tls: bool, end: str) -> None:
    """Nobody runs it again, and asyncio would complain of what has not been done."""

    def script(visit: Visit) -> None:
        visit.accept(text("hello"))
        if end != "drop":
            visit.answer_close()
        if end == "linger":
            visit.wait_end()

    with scripted(script, tls=server_context() if tls else None) as server:

        def work() -> None:
            client = Stopping(server.url, ssl_options=client_context() if tls else None)
            client.connect()
            loop: Any = ioloop.IOLoop.current()
            loop.start()
            assert client.seen[1] == b"hello"
            left.append(asyncio.all_tasks(loop.asyncio_loop))
            left.append(len(loop.asyncio_loop._selector.get_map()) - 1)  # its own waker
            loop.close()

        left: list[Any] = []
        in_thread(work).join(BOUND)
        assert left == [set(), 0]


# --- TLS -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ca_certs", "cert_reqs"])
def test_ws4pys_dictionary_of_tls(name: str) -> None:
    options = {"ca_certs": str(certificates()[2])} if name == "ca_certs" else {"cert_reqs": ssl.CERT_NONE}
    with tornado_server(server_context()) as server:

        async def main() -> None:
            client = Asking(server.url, ssl_options=options)
            client.connect()
            await until(client.ended.is_set)
            assert client.seen == ["opened", b"hello", (4001, "")]

        run(main)


def test_unknown_authority_is_refused_and_told() -> None:
    def script(visit: Visit) -> None:
        visit.read_request()

    with scripted(script, tls=server_context()) as server:

        async def main() -> None:
            client = Noting(server.url)
            with pytest.raises(ssl.SSLCertVerificationError):
                await client.connect()
            assert client.seen == []
            client.connect()
            await until(client.ended.is_set)
            ((code, reason),) = client.seen
            assert code == 1006
            assert "certificate verify failed" in reason

        run(main)


# --- what does not work is told ------------------------------------------------------------------------


def test_refusal_is_raised_where_it_is_awaited_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    with scripted(refuse) as server:

        async def main() -> None:
            client = Noting(server.url)
            with pytest.raises(HandshakeError, match="403 Forbidden") as caught:
                await client.connect()
            assert (caught.value.status, caught.value.body) == (403, b"no")
            # By way of others that wait, too.
            found = await asyncio.gather(client.connect(), return_exceptions=True)
            assert isinstance(found[0], HandshakeError)
            assert client.seen == []
            # Who awaits needs no hook, and no line.
            with pytest.raises(HandshakeError):
                await TornadoWebSocketClient(server.url).connect()

        run(main)
    assert caplog.records == []


def test_refusal_that_nobody_awaits_is_told_to_closed(caplog: pytest.LogCaptureFixture) -> None:
    with scripted(refuse) as server:

        async def main() -> None:
            client = Noting(server.url)
            connecting = client.connect()
            await until(client.ended.is_set)
            ((code, reason),) = client.seen
            assert code == 1006
            assert reason.startswith("the server answered with 403 Forbidden")
            assert not client.is_open
            # Who asks later is told, too.
            with pytest.raises(HandshakeError):
                await connecting

        run(main)
    assert caplog.records == []


def test_refusal_that_nobody_is_told_of_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with scripted(refuse) as server:

        async def main() -> None:
            client = TornadoWebSocketClient(server.url)
            client.connect()
            await until(lambda: bool(caplog.records))

        run(main)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "403 Forbidden" in record.getMessage()
    assert str(server.port) in record.getMessage()


def test_closed_that_raises_without_a_connection_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Client(Noting):
        def closed(self, code: int, reason: str | None = None) -> None:
            raise ValueError("a fault of the application")

    async def main() -> None:
        Client(f"ws://127.0.0.1:{free_port()}/").connect()
        await until(lambda: bool(caplog.records))

    run(main)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


def test_time_is_bounded_and_the_error_says_what_took_it() -> None:
    with scripted(lambda visit: visit.wait_end()) as server:

        async def main() -> None:
            client = Noting(server.url, open_timeout=0.2)
            with pytest.raises(TimeoutError, match="the opening handshake"):
                await client.connect()
            client.connect()
            await until(client.ended.is_set)
            assert "the opening handshake" in client.seen[0][1]

        run(main)


def test_fault_of_the_application_is_told_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        client = Noting("ws://127.0.0.1:9/")
        client.resource = "/with a space"
        with pytest.raises(ValueError, match="space"):
            await client.connect()
        assert caplog.records == []
        client.connect()
        await until(client.ended.is_set)
        assert [code for code, _ in client.seen] == [1006]

    run(main)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


@pytest.mark.parametrize("way", ["add_callback", "call_later", "spawn_callback"])
def test_a_future_that_is_returned_to_tornado_is_not_awaited(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """tornado waits for what its callbacks return, but only to log what was wrong."""

    async def main() -> None:
        client = Noting(f"ws://127.0.0.1:{free_port()}/")
        loop = ioloop.IOLoop.current()
        for _ in range(2):
            client.ended.clear()
            if way == "call_later":
                loop.call_later(0.01, client.connect)
            else:
                getattr(loop, way)(client.connect)
            await until(client.ended.is_set)
        assert [code for code, _ in client.seen] == [1006, 1006]

    run(main)
    assert caplog.records == []


def test_connect_twice_is_an_error_at_once() -> None:
    with tornado_server() as server:

        async def main() -> None:
            client = Noting(server.url)
            connecting = client.connect()
            with pytest.raises(RuntimeError, match="about to be connected"):
                client.connect()
            await connecting
            with pytest.raises(RuntimeError, match="connected already"):
                client.connect()
            client.close()
            await until(client.ended.is_set)
            assert client.seen == ["opened", (1000, "")]

        run(main)


def test_connect_where_the_loop_is_closed_is_an_error_at_once() -> None:
    loop = ioloop.IOLoop(make_current=False)
    loop.close()
    client = Noting("ws://127.0.0.1:9/", io_loop=loop)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="closed"):
            client.connect()


def test_closed_while_it_tries_to_connect_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    class Client(Noting):
        def reconnecting(self, attempt: int, delay: float, cause: Exception) -> None:
            self.note(attempt)
            if attempt == 2:
                self.close()

    async def main() -> None:
        backoff = Backoff(initial=0.01, first=True)
        client = Client(f"ws://127.0.0.1:{free_port()}/", reconnect=backoff)
        client.connect()
        await until(client.ended.is_set)
        assert client.seen == [1, 2, (1006, "it was closed while it was being connected")]

    run(main)
    assert caplog.records == []


# --- giving up -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["cancel", "wait_for"])
def test_cancelled_attempt_hangs_up_and_another_can_be_made(way: str) -> None:
    gone = threading.Event()

    def script(visit: Visit) -> None:
        visit.read_request()
        if len(server.visits) == 1:
            visit.wait_end()
            gone.set()
        else:
            visit.send(visit.build_101())
            visit.echo()

    with scripted(script) as server:

        async def main() -> None:
            client = Noting(server.url)
            connecting = client.connect()
            if way == "cancel":
                await until(lambda: bool(server.visits) and bool(server.visits[0].request))
                connecting.cancel()
            else:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(connecting, 0.2)
            await until(gone.is_set)
            assert connecting.cancelled()
            assert client.seen == []
            await client.connect()
            client.close()
            await until(client.ended.is_set)
            assert client.seen == ["opened", (1000, "")]

        run(main)


def test_attempt_that_is_cancelled_before_the_loop_runs_is_none() -> None:
    with scripted(lambda visit: visit.wait_end()) as server:
        loop = ioloop.IOLoop(make_current=False)
        client = Noting(server.url, io_loop=loop)
        client.connect().cancel()
        loop.run_sync(lambda: asyncio.sleep(0))
        client.connect().cancel()
        loop.run_sync(lambda: asyncio.sleep(0))
        loop.close()
        assert server.visits == []
        assert client.seen == []


def test_loop_that_ends_cancels_the_attempt() -> None:
    with scripted(lambda visit: visit.wait_end()) as server:
        futures = []

        async def main() -> None:
            futures.append(Noting(server.url).connect())
            await until(lambda: bool(server.visits))

        run(main)
        assert futures[0].cancelled()
        wait_for(lambda: len(server.visits) == 1)
