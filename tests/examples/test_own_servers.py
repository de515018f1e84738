"""examples/gevent_echo and examples/wsgiref_echo do what they say, and tell their peers of the end."""

from __future__ import annotations

import signal

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.servers import start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("name", "tls"), [("gevent_echo", False), ("gevent_echo", True), ("wsgiref_echo", False)]
)
def test_echo_example_echoes_beside_http_and_says_goodbye(name: str, tls: bool, number: int) -> None:
    with start("script", f"examples/{name}/app.py", tls=tls) as server:
        with connect(f"{server.ws_url}/echo", ssl=server.client_context, max_size=None, proxy=None) as ws:
            ws.send("Grüße")
            assert ws.recv(timeout=10) == "Grüße"
            large = b"\x00\xff" * 2_500_000
            ws.send(large)
            assert ws.recv(timeout=30) == large
            assert b"/echo" in server.http("/").body
            server.signal(number)
            with pytest.raises(ConnectionClosed):
                ws.recv(timeout=10)
            assert ws.protocol.close_code == 1001
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log
