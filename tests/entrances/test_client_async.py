"""AsyncWebSocketClient against the server of ``websockets``, and against our own in the same loop."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from tests.entrances.asyncio_client import run
from tests.entrances.test_client_websockets import KINDS, running
from tests.servers import certificates, client_context
from ws4py_middleware.async_websocket import AsyncWebSocket, EchoWebSocket
from ws4py_middleware.client.asyncclient import AsyncWebSocketClient
from ws4py_middleware.exc import ConnectionClosed, HandshakeError
from ws4py_middleware.messaging import Message
from ws4py_middleware.process import get_task_manager
from ws4py_middleware.server.asyncioserver import WebSocketProtocol

LOOPS = ["asyncio", "uvloop"]


@pytest.fixture(autouse=True)
def no_errors_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that happens here is an error of anybody's."""
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with running(request.param, tmp_path, max_size=None) as url:
        yield url


def make(url: str, **options: Any) -> AsyncWebSocketClient:
    return AsyncWebSocketClient(url, ssl_options=client_context(), **options)


class Recorder(AsyncWebSocketClient):
    """Note what the hooks are told, and that no two overlap."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, ssl_options=client_context(), **options)
        self.seen: list[Any] = []
        self.busy = False

    def note(self, *what: Any) -> None:
        assert not self.busy
        self.seen.append(what)

    def opened(self) -> Any:
        self.note("opened")

    def received_message(self, message: Message) -> Any:
        self.note(str(message))

    def ponged(self, pong: Message) -> Any:
        self.note("ponged", pong.data)

    def closed(self, code: int, reason: str | None = None) -> Any:
        self.note("closed", code, reason)


class AsyncRecorder(Recorder):
    """The same, with hooks that wait."""

    async def note_slowly(self, *what: Any) -> None:
        self.note(*what)
        self.busy = True
        try:
            await asyncio.sleep(0.001)
        finally:
            self.busy = False

    async def opened(self) -> None:
        await self.note_slowly("opened")

    async def received_message(self, message: Message) -> None:
        await self.note_slowly(str(message))

    async def ponged(self, pong: Message) -> None:
        await self.note_slowly("ponged", pong.data)

    async def closed(self, code: int, reason: str | None = None) -> None:
        await self.note_slowly("closed", code, reason)


# --- what goes over it ---------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("compression", [False, True])
def test_messages_of_every_size_come_back(url: str, compression: bool, loop: str) -> None:
    async def main() -> None:
        async with make(url, compression=compression, max_message_size=2**23) as client:
            assert bool(client.extensions) is compression
            for size in (0, 125, 126, 65536, 5_000_000):
                data = b"\xff\0" * (size // 2)
                await client.send(data, binary=True)
                message = await client.receive(20)
                assert message is not None
                assert (message.is_binary, message.data) == (True, data)
                await client.send("é" * (size // 2))
                assert str(await client.receive(20)) == "é" * (size // 2)

    run(main(), loop)


def test_fragments_pings_and_latency(url: str) -> None:
    async def main() -> None:
        async with make(url, ping_interval=0.05) as client:
            await client.send(["one ", b"two ", "three"])
            assert str(await client.receive(10)) == "one two three"
            await client.send("fragments")
            assert str(await client.receive(10)) == "abc"
            await client.send("ping")
            assert str(await client.receive(10)) == "pong came"
            while client.latency is None:
                await asyncio.sleep(0.01)
            assert 0 < client.latency < 5

    run(main())


@pytest.mark.parametrize("kind", [Recorder, AsyncRecorder])
def test_hooks_are_called_one_after_the_other(url: str, kind: type[Recorder]) -> None:
    async def main() -> None:
        client = kind(url)
        await client.connect()
        await client.ping("?")
        for number in range(5):
            await client.send(str(number))
        await client.send("close")
        await client.run()
        assert client.seen == [
            ("opened",),
            ("ponged", b"?"),
            *[(str(number),) for number in range(5)],
            ("closed", 4001, "as you wish"),
        ]
        assert client.terminated
        with pytest.raises(ConnectionClosed, match="closed"):
            await client.send("x")
        assert await client.receive() is None

    run(main())


def test_iteration_ends_with_the_connection_and_connect_makes_a_new_one(url: str) -> None:
    async def main() -> None:
        client = make(f"{url}?a=b" if "unix" in url else f"{url}/?a=b")
        keys = set()
        for _ in range(3):
            await client.connect()
            assert client.is_open
            with pytest.raises(RuntimeError, match="connected already"):
                await client.connect()
            keys.add(client.key)
            client.send("path")
            client.send("close")
            assert [str(message) async for message in client] == ["/?a=b"]
            assert client.terminated
            with pytest.raises(ConnectionClosed):
                client.send("x")
        await client.run()
        assert len(keys) == 3

    run(main())


def test_connect_waits_for_the_end_of_a_closing_handshake(url: str) -> None:
    async def main() -> None:
        client = make(url)
        for _ in range(3):
            await client.connect()
            client.send("unread")
            await client.close()
            assert not client.is_open
        async with client:
            assert client.is_open
            assert not client.terminated
            assert len(get_task_manager()) == 1

    run(main())


def test_subprotocol_headers_and_refusals(tmp_path: Path) -> None:
    def answer(connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Cookie") != "a=b":
            return connection.respond(403, "no cookie\n")
        return None

    async def main(url: str) -> None:
        headers = {"Cookie": "a=b"}
        async with AsyncWebSocketClient(url, protocols=["v1", "v2"], headers=headers) as client:
            assert (client.protocols, client.subprotocol) == (["v2"], "v2")
            assert dict(client.response_headers)["Upgrade"] == "websocket"
            assert client.sock is not None
        refused = AsyncWebSocketClient(url)
        for _ in range(2):
            with pytest.raises(HandshakeError, match="403") as caught:
                async with refused:
                    pass
            assert (caught.value.status, caught.value.body) == (403, b"no cookie\n")
            assert not refused.is_open
            assert refused.sock is None

    with running("plain", tmp_path, subprotocols=["v2"], process_request=answer) as url:
        run(main(url))


@pytest.mark.parametrize("loop", LOOPS)
def test_certificates_are_verified_unless_it_is_said_otherwise(tmp_path: Path, loop: str) -> None:
    async def main() -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            await AsyncWebSocketClient(url).connect()
        other = {"ca_certs": ca, "server_hostname": "other.example"}
        with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
            await AsyncWebSocketClient(url, ssl_options=other).connect()
        for options in ({"ca_certs": ca}, {"cert_reqs": ssl.CERT_NONE}):
            async with AsyncWebSocketClient(url, ssl_options=options) as client:
                await client.send("over TLS")
                assert str(await client.receive(5)) == "over TLS"

    ca = str(certificates()[2])
    with running("tls", tmp_path) as url:
        run(main(), loop)


# --- our own server, in the same loop ---------------------------------------------------------------------


@asynccontextmanager
async def serving(handler: Any = EchoWebSocket, **options: Any) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(
        lambda: WebSocketProtocol(handler, **options), "127.0.0.1", 0, backlog=2048
    )
    try:
        yield f"ws://localhost:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await get_task_manager().shutdown_async()


@pytest.mark.capacity
@pytest.mark.parametrize("loop", LOOPS)
def test_a_thousand_clients_live_in_one_loop(loop: str) -> None:
    async def main() -> None:
        async with serving() as url:
            clients = [AsyncWebSocketClient(url) for _ in range(1000)]
            await asyncio.gather(*[client.connect() for client in clients])
            for number, client in enumerate(clients):
                client.send(str(number))
            messages = await asyncio.gather(*[client.receive(30) for client in clients])
            assert [str(message) for message in messages] == [str(number) for number in range(1000)]
            for client in clients:
                client.close()
            await asyncio.gather(*[client.run() for client in clients])

    run(main(), loop)


def test_a_server_that_goes_away_says_so() -> None:
    async def main() -> None:
        clients = []
        async with serving() as url:
            for _ in range(5):
                clients.append(Recorder(url))
                await clients[-1].connect()
        assert {client.seen[-1][:2] for client in clients} == {("closed", 1001)}
        with pytest.raises(ConnectionRefusedError):
            await clients[0].connect()

    run(main())


def test_who_awaits_send_waits_for_a_server_that_does_not_read() -> None:
    async def main() -> None:
        go_on = asyncio.Event()

        async def slow(ws: AsyncWebSocket) -> None:
            await go_on.wait()
            async for _ in ws:
                pass

        async with serving(slow) as url, AsyncWebSocketClient(url) as client:
            sender = asyncio.create_task(send_much(client))
            done, _ = await asyncio.wait([sender], timeout=0.3)
            assert not done
            go_on.set()
            await sender

    async def send_much(client: AsyncWebSocketClient) -> None:
        for _ in range(200):
            await client.send("x" * 100_000)

    run(main())


def test_a_hook_of_the_class_gets_messages_and_a_class_without_one_is_asked_for_them() -> None:
    async def main() -> None:
        async with serving() as url:
            async with AsyncWebSocketClient(url) as client:
                for number in range(100):
                    await client.send(str(number))
                for number in range(100):
                    assert str(await client.receive(10)) == str(number)
                with pytest.raises(TimeoutError, match=r"no message within 0\.01 s"):
                    await client.receive(0.01)
                await client.close(4000, "that is all")
                assert [message async for message in client] == []

            class Late(AsyncWebSocketClient):
                async def opened(self) -> None:
                    await self.send("from opened")

                async def received_message(self, message: Message) -> None:
                    with pytest.raises(RuntimeError, match="in one of its hooks"):
                        await self.run()
                    with pytest.raises(RuntimeError, match="this hook"):
                        await self.receive()
                    got.set_result(str(message))

            got: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            async with Late(url):
                assert await asyncio.wait_for(got, 10) == "from opened"

    run(main())
