"""The client for tornado, in loops of tornado's and against its server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Generator
from typing import Any

import pytest
from tornado import gen, ioloop

from tests.entrances.scripted import Visit, scripted, text
from tests.entrances.tornado_clients import (
    BOUND,
    Asking,
    Noting,
    Stopping,
    in_thread,
    nothing_left,
    run,
    until,
)
from tests.entrances.tornado_host import tornado_server
from tests.servers import certificates, client_context, free_port, server_context
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from ws4py_middleware.messaging import Message

__all__ = ["nothing_left"]


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
