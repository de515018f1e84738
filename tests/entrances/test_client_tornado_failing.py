"""The client for tornado, when there is no connection: somebody is told, once."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from tornado import ioloop

from tests.entrances.scripted import Visit, scripted
from tests.entrances.tornado_clients import Noting, nothing_left, run, until
from tests.entrances.tornado_host import tornado_server
from tests.servers import free_port, wait_for
from ws4py_middleware.client.backoff import Backoff
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from ws4py_middleware.exc import HandshakeError

__all__ = ["nothing_left"]


def refuse(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")


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
