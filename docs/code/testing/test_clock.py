from __future__ import annotations

from collections.abc import Callable

from app import app
from ws4py_middleware.testing import VirtualClock, WebSocketTestClient


def test_who_says_nothing_for_a_minute_is_hung_up_on(
    websocket_client: Callable[..., WebSocketTestClient], fake_clock: VirtualClock
) -> None:
    client = websocket_client(app)
    client.post("/login", {"name": "Ann"})
    ws = client.connect("/chat/blue")
    fake_clock.advance(59)
    assert len(ws.pings) == 2  # one each 20 seconds, and the client has answered them
    fake_clock.advance(1)
    ws.expect_close(1000, "no message within 60 s")


def test_deploy_says_goodbye(websocket_client: Callable[..., WebSocketTestClient]) -> None:
    client = websocket_client(app)
    client.post("/login", {"name": "Ann"})
    ws = client.connect("/chat/blue")
    client.shutdown()
    ws.expect_close(1001)
