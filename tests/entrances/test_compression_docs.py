"""docs/topics/compression.md: its code runs; all clients understand a broadcast that is compressed once."""

from __future__ import annotations

import asyncio
import contextlib
import runpy

import aiohttp
import pytest
import websocket
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.sync.client import ClientConnection, connect

from tests.servers import ROOT, Server, start
from ws4py_middleware import DeflateOptions
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.core.extensions.zlibs import get_library

CODE = ROOT / "docs" / "code" / "compression"

TEXTS = [f'{{"turn": {turn}, "prices": {[*range(turn, 300)]}, "of": "é"}}' for turn in range(20)]


def test_small_files_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    app = runpy.run_path(str(CODE / "app.py"))["app"]
    assert app.wsgi_app.policy.compression == DeflateOptions(level=6)
    runpy.run_path(str(CODE / "library.py"))
    assert capsys.readouterr().out == f"{get_library().name} {get_library(keeps=True).name}\n"


def join(url: str, **offer: int | bool | None) -> ClientConnection:
    factory = ClientPerMessageDeflateFactory(**offer)  # type: ignore[arg-type]
    return connect(url, extensions=[factory], compression=None, proxy=None)


async def hear(url: str, said: asyncio.Event) -> list[str]:
    """Be an aiohttp client in the room; return what it hears."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, compress=15, max_msg_size=0, autoping=False) as ws,
    ):
        assert ws.compress
        # Whose ping is answered has been let in: opened(), which joins the room, comes first.
        await ws.ping()
        assert (await ws.receive(timeout=10)).type is aiohttp.WSMsgType.PONG
        said.set()
        return [str(await ws.receive_str(timeout=10)) for _ in TEXTS]


def check_broadcasts(server: Server) -> None:
    url = f"{server.ws_url}/prices"
    with (
        join(url) as first,
        join(url, client_max_window_bits=12, client_no_context_takeover=True) as second,
        join(url, server_max_window_bits=9) as third,
        WebSocketBaseClient(url, compression=True) as fourth,
        WebSocketBaseClient(url, compression=DeflateOptions(shared=True)) as fifth,
        contextlib.closing(websocket.create_connection(url, timeout=10)) as plain,
    ):
        for client in (first, second, third):
            (extension,) = client.protocol.extensions
            assert isinstance(extension, PerMessageDeflate)
            assert extension.remote_no_context_takeover
        others = [first, second, third]
        for client in others:
            assert client.ping().wait(10)
        plain.ping()
        assert plain.recv_data(control_frame=True)[0] == websocket.ABNF.OPCODE_PONG

        async def talk() -> list[str]:
            there = asyncio.Event()
            heard = asyncio.create_task(hear(url, there))
            await asyncio.wait_for(there.wait(), 10)
            for text in TEXTS:
                await asyncio.to_thread(first.send, text)
            return await heard

        assert asyncio.run(talk()) == TEXTS
        for client in others:
            assert [str(client.recv(timeout=10)) for _ in TEXTS] == TEXTS
        for ours in (fourth, fifth):
            assert [str(ours.receive(10)) for _ in TEXTS] == TEXTS
            assert (ours.stats().compression_received or 0) > 1.2
        assert [plain.recv() for _ in TEXTS] == TEXTS


@pytest.mark.parametrize("library", ["zlib", "zlib-ng"])
def test_room_of_the_page_is_what_every_client_understands(library: str) -> None:
    environ = {"WS4PY_MIDDLEWARE_ZLIB": library}
    with start("gunicorn-gthread", "docs.code.compression.prices:app", env=environ) as server:
        check_broadcasts(server)
        assert "Traceback" not in server.log
