"""docs/howto/asyncio.md: its code is tried."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from docs.code.asyncio import chat
from tests.core.wire import TEXT
from tests.drivers.peer import build
from tests.entrances.asyncio_host import open_at
from tests.matrix.columns import connect, end_of
from tests.promises.wire import TEXT as TEXT_FRAME
from tests.promises.wire import close_frame, frame
from tests.seeds.blocks import serve
from tests.servers import ROOT
from ws4py_middleware import AsyncWebSocketClient
from ws4py_middleware.server import asyncioserver

CODE = ROOT / "docs" / "code" / "asyncio"


def test_server_of_the_page_serves(tmp_path: Path) -> None:
    block = (CODE / "server.py").read_text(encoding="utf-8")
    with serve(block, tmp_path) as server, connect(server, "/") as peer:
        peer.send(frame(TEXT_FRAME, b"hello"))
        assert peer.read_frame().payload == b"hello"
        peer.send(close_frame(1000))
        peer.expect_close(1000)
        assert end_of(peer) == ""


def test_handler_and_end_of_the_page(capsys: Any) -> None:
    codes: list[Any] = []

    def talk(port: int) -> None:
        peer = open_at(port)
        peer.send_bytes(build(TEXT, b"hi"))
        assert [peer.read(), peer.read()] == ["you said", "hi"]
        codes.append("ready")
        codes.append(peer.answer()[0])

    async def run(server: asyncio.Server) -> None:
        thread = threading.Thread(target=talk, args=(server.sockets[0].getsockname()[1],))
        thread.start()
        threads.append(thread)
        while not codes:
            await asyncio.sleep(0.01)

    threads: list[threading.Thread] = []
    asyncio.run(chat.serve_until(run))
    threads[0].join(5)
    assert codes == ["ready", 1001]
    assert capsys.readouterr().out == "gone: 1001\n"


def test_function_of_the_page_echoes() -> None:
    async def talk() -> None:
        server = await asyncioserver.serve(chat.chat, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with AsyncWebSocketClient(f"ws://127.0.0.1:{port}/") as client:
            await client.send("hello")
            assert str(await client.receive()) == "hello"
        server.close()

    asyncio.run(talk())
