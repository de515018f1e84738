"""examples/echo does what it says, under stock gunicorn."""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.servers import start


@pytest.mark.parametrize("kind", ["gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent"])
def test_echo_example_echoes_beside_http(kind: str) -> None:
    with start(kind, "examples.echo.app:app") as server:
        with connect(f"ws://127.0.0.1:{server.port}/echo", proxy=None) as ws:
            ws.send("Grüße")
            assert ws.recv(timeout=10) == "Grüße"
            ws.send(b"\x00\xff")
            assert ws.recv(timeout=10) == b"\x00\xff"
            assert server.http("/").status == 200
        assert ws.protocol.close_code == 1000
        assert "Traceback" not in server.log


def test_autobahn_example_takes_what_the_suite_sends() -> None:
    with (
        start("gunicorn-gthread", "examples.echo.autobahn_app:app") as server,
        connect(f"ws://127.0.0.1:{server.port}/", max_size=None, proxy=None) as ws,
    ):
        assert ws.response is not None
        assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]
        large = "*" * 16 * 1024 * 1024
        ws.send(large)
        assert ws.recv(timeout=30) == large
        # The client ends the message with a frame of its own, which compressed is not empty.
        ws.send("x" for _ in range(65_535))
        assert ws.recv(timeout=30) == "x" * 65_535
        ws.send("*" * (16 * 1024 * 1024 + 1))
        with pytest.raises(ConnectionClosed) as refused:
            ws.recv(timeout=30)
        assert refused.value.rcvd is not None
        assert refused.value.rcvd.code == 1009
