"""examples/asyncio_echo does what it says, and tells its peers of the end."""

from __future__ import annotations

import signal

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.servers import start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_echo_example_echoes_and_says_goodbye(tls: bool, number: int) -> None:
    with start("script", "examples/asyncio_echo/app.py", tls=tls) as server:
        with connect(server.ws_url, ssl=server.client_context, max_size=None, proxy=None) as ws:
            ws.send("Grüße")
            assert ws.recv(timeout=10) == "Grüße"
            large = b"\x00\xff" * 2_500_000
            ws.send(large)
            assert ws.recv(timeout=30) == large
            assert server.http("/").status == 426
            server.signal(number)
            with pytest.raises(ConnectionClosed):
                ws.recv(timeout=10)
            assert ws.protocol.close_code == 1001
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log
