"""The clients that are written in Python: those with threads, and those with a loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from time import monotonic
from typing import Any, TypeVar

import aiohttp
import websocket
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.interop.foreign.talker import BOUND, FIN_ONLY, Data, Foreign, Options, Talker
from tests.interop.words import MAX_SIZE

T = TypeVar("T")


def _get_websockets_options(options: Options) -> dict[str, Any]:
    return {
        "compression": "deflate" if options.compression else None,
        "subprotocols": [Subprotocol(name) for name in options.subprotocols] or None,
        "max_size": MAX_SIZE,
        "proxy": None,
    }


class WebsocketsSync(Talker):
    def __init__(self, connection: websockets.sync.client.ClientConnection) -> None:
        self._connection = connection

    @classmethod
    @contextlib.contextmanager
    def connect(cls, url: str, options: Options) -> Iterator[Talker]:
        with websockets.sync.client.connect(url, **_get_websockets_options(options)) as connection:
            yield cls(connection)

    @property
    def subprotocol(self) -> str | None:
        return self._connection.subprotocol

    @property
    def is_compressed(self) -> bool:
        return bool(self._connection.protocol.extensions)

    def send(self, data: Data) -> None:
        self._connection.send(data)

    def send_fragments(self, pieces: Sequence[Data], ping: bytes | None = None) -> None:
        def make() -> Iterator[Data]:
            for number, piece in enumerate(pieces):
                yield piece
                if number == 0 and ping is not None:
                    self._connection.ping(ping)

        self._connection.send(make())

    def receive(self) -> Data | None:
        try:
            return self._connection.recv(BOUND)
        except ConnectionClosed:
            return None

    def ping(self, data: bytes) -> float:
        start = monotonic()
        assert self._connection.ping(data).wait(BOUND), "no pong came"
        return monotonic() - start

    def close(self, code: int | None, reason: str) -> None:
        self._connection.close(code, reason)  # type: ignore[arg-type]

    def get_end(self) -> tuple[int | None, str]:
        assert self.receive() is None
        return self._connection.close_code, self._connection.close_reason or ""


class WebsocketClient(Talker):
    """``websocket-client``: it answers pings, and shows everything to those who ask for control frames."""

    def __init__(self, connection: websocket.WebSocket) -> None:
        self._connection = connection
        self._end: tuple[int | None, str] | None = None

    @classmethod
    @contextlib.contextmanager
    def connect(cls, url: str, options: Options) -> Iterator[Talker]:
        # Its check of UTF-8 is pure Python and takes a second a megabyte; Python's decoder checks, too.
        connection = websocket.create_connection(
            url, timeout=BOUND, subprotocols=list(options.subprotocols), skip_utf8_validation=True
        )
        try:
            yield cls(connection)
        finally:
            connection.shutdown()  # type: ignore[no-untyped-call]  # also of one that has lost its connection

    @property
    def subprotocol(self) -> str | None:
        name: str | None = self._connection.getsubprotocol()
        return name

    @property
    def is_compressed(self) -> bool:
        return "sec-websocket-extensions" in (self._connection.getheaders() or {})

    def send(self, data: Data) -> None:
        opcode = websocket.ABNF.OPCODE_TEXT if isinstance(data, str) else websocket.ABNF.OPCODE_BINARY
        self._connection.send(data, opcode)

    def send_fragments(self, pieces: Sequence[Data], ping: bytes | None = None) -> None:
        first = websocket.ABNF.OPCODE_TEXT if isinstance(pieces[0], str) else websocket.ABNF.OPCODE_BINARY
        for number, piece in enumerate(pieces):
            fin = int(number == len(pieces) - 1)
            opcode = websocket.ABNF.OPCODE_CONT if number else first
            data = piece.encode() if isinstance(piece, str) else piece
            self._connection.send_frame(websocket.ABNF(fin, 0, 0, 0, opcode, 1, data))
            if number == 0 and ping is not None:
                self._connection.ping(ping)

    def receive(self) -> Data | None:
        while True:
            opcode, data = self._receive_any()
            if opcode == websocket.ABNF.OPCODE_TEXT:
                return data.decode()
            if opcode == websocket.ABNF.OPCODE_BINARY:
                return data
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return None

    def _receive_any(self) -> tuple[int, bytes]:
        opcode, frame = self._connection.recv_data_frame(control_frame=True)
        data = bytes(frame.data)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self._end = (int.from_bytes(data[:2], "big") if data else 1005), data[2:].decode()
        return opcode, data

    def ping(self, data: bytes) -> float:
        start = monotonic()
        self._connection.ping(data)
        assert self._receive_any() == (websocket.ABNF.OPCODE_PONG, data)
        return monotonic() - start

    def close(self, code: int | None, reason: str) -> None:
        if code is None:
            self._connection.send(b"", websocket.ABNF.OPCODE_CLOSE)
        else:
            self._connection.send_close(code, reason.encode())

    def get_end(self) -> tuple[int | None, str]:
        if self._end is None:
            assert self.receive() is None
        assert self._end is not None
        return self._end


class Loop:
    """A loop in a thread, behind calls that wait."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Loop:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(BOUND)
        self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, BOUND), self._loop).result()


class WebsocketsAsyncio(Talker):
    def __init__(self, loop: Loop, connection: websockets.asyncio.client.ClientConnection) -> None:
        self._loop = loop
        self._connection = connection

    @classmethod
    @contextlib.contextmanager
    def connect(cls, url: str, options: Options) -> Iterator[Talker]:
        async def connect() -> websockets.asyncio.client.ClientConnection:
            return await websockets.asyncio.client.connect(url, **_get_websockets_options(options))

        with Loop() as loop:
            connection = loop.run(connect())
            try:
                yield cls(loop, connection)
            finally:
                loop.run(connection.close())

    @property
    def subprotocol(self) -> str | None:
        return self._connection.subprotocol

    @property
    def is_compressed(self) -> bool:
        return bool(self._connection.protocol.extensions)

    def send(self, data: Data) -> None:
        self._loop.run(self._connection.send(data))

    def send_fragments(self, pieces: Sequence[Data], ping: bytes | None = None) -> None:
        async def make() -> AsyncIterator[Data]:
            for number, piece in enumerate(pieces):
                yield piece
                if number == 0 and ping is not None:
                    await self._connection.ping(ping)

        self._loop.run(self._connection.send(make()))

    def receive(self) -> Data | None:
        try:
            return self._loop.run(self._connection.recv())
        except ConnectionClosed:
            return None

    def ping(self, data: bytes) -> float:
        async def ping() -> float:
            return await (await self._connection.ping(data))

        return self._loop.run(ping())

    def close(self, code: int | None, reason: str) -> None:
        self._loop.run(self._connection.close(code, reason))  # type: ignore[arg-type]

    def get_end(self) -> tuple[int | None, str]:
        assert self.receive() is None
        return self._connection.close_code, self._connection.close_reason or ""


class Aiohttp(Talker):
    """It shows pongs only to those who answer pings themselves."""

    def __init__(self, loop: Loop, connection: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self._loop = loop
        self._connection = connection
        self._end: tuple[int | None, str] | None = None

    @classmethod
    @contextlib.contextmanager
    def connect(cls, url: str, options: Options) -> Iterator[Talker]:
        async def connect() -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse[Any]]:
            session = aiohttp.ClientSession()
            try:
                return session, await session.ws_connect(
                    url,
                    protocols=options.subprotocols,
                    compress=15 if options.compression else 0,
                    max_msg_size=MAX_SIZE,
                    autoping=False,
                )
            except BaseException:
                await session.close()
                raise

        with Loop() as loop:
            session, connection = loop.run(connect())
            try:
                yield cls(loop, connection)
            finally:
                loop.run(connection.close())
                loop.run(session.close())

    @property
    def subprotocol(self) -> str | None:
        return self._connection.protocol

    @property
    def is_compressed(self) -> bool:
        return self._connection.compress != 0

    def send(self, data: Data) -> None:
        if isinstance(data, str):
            self._loop.run(self._connection.send_str(data))
        else:
            self._loop.run(self._connection.send_bytes(data))

    def receive(self) -> Data | None:
        data: Data
        message = self._receive_any()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data = message.data
            return data
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), message
        return None

    def _receive_any(self) -> aiohttp.WSMessage:
        while True:
            message = self._loop.run(self._connection.receive())
            if message.type is not aiohttp.WSMsgType.PING:
                break
            self._loop.run(self._connection.pong(message.data))
        if message.type is aiohttp.WSMsgType.CLOSE:
            self._end = message.data or 1005, message.extra or ""  # it says 0 where there is no code
        return message

    def ping(self, data: bytes) -> float:
        start = monotonic()
        self._loop.run(self._connection.ping(data))
        message = self._receive_any()
        assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, data)
        return monotonic() - start

    def close(self, code: int | None, reason: str) -> None:
        assert code is not None
        self._loop.run(self._connection.close(code=code, message=reason.encode()))

    def get_end(self) -> tuple[int | None, str]:
        if self._end is None:
            assert self.receive() is None
        return self._end or (self._connection.close_code, "")


CLIENTS = {
    "websockets-asyncio": Foreign("websockets (asyncio)", WebsocketsAsyncio.connect),
    "websockets-sync": Foreign("websockets (threads)", WebsocketsSync.connect),
    "websocket-client": Foreign(
        "websocket-client", WebsocketClient.connect, {"compression": "It has none."}, answers=1000
    ),
    "aiohttp": Foreign(
        "aiohttp",
        Aiohttp.connect,
        {
            "fragments sent": FIN_ONLY,
            "ping between fragments": FIN_ONLY,
            "closing without a code": "It always sends one.",
        },
        answers=1000,
    ),
}
