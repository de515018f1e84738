"""The document's server for asyncio. Changed: the import prefix, port and address; its imports are added."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.matrix.columns import connect, end_of
from tests.seeds.blocks import check_echo, serve

BLOCK = """\
import asyncio
from ws4py_middleware.server.tulipserver import WebSocketProtocol
from ws4py_middleware.async_websocket import EchoWebSocket

loop = asyncio.get_event_loop()

def start_server():
    proto_factory = lambda: WebSocketProtocol(EchoWebSocket)
    return loop.create_server(proto_factory, '', 9007)

s = loop.run_until_complete(start_server())
print('serving on', s.sockets[0].getsockname())
loop.run_forever()
"""


@pytest.mark.parametrize("module", ["async_websocket", "websocket"])
def test_block_is_an_echo_server(tmp_path: Path, module: str) -> None:
    with serve(BLOCK.replace("async_websocket", module), tmp_path) as server:
        check_echo(server)
        with connect(server, "/") as peer:
            peer.echo()
            server.signal(signal.SIGINT)
            # Nobody has closed anything, and the loop is gone; and yet its peers are told.
            peer.expect_close(1001)
            assert end_of(peer) == ""
            server.process.wait(10)
