from __future__ import annotations

from collections.abc import Callable

import pytest

from app import app
from ws4py_middleware.testing import WebSocketSession, WebSocketTestClient

Make = Callable[..., WebSocketTestClient]


# [slow]
def test_one_who_does_not_read_is_dropped(websocket_client: Make) -> None:
    client = websocket_client(app)
    client.post("/login", {"name": "Ann"})
    ann, slow = client.connect("/chat/blue"), client.connect("/chat/blue")
    with slow.not_reading(window=65536):  # so much is taken by the network all the same
        for _ in range(200):
            ann.send("x" * 1000)
            ann.receive()  # the others do not wait for the slow one
    slow.expect_close(1013)


# [/slow]


# [broken]
@pytest.mark.parametrize("break_it", [WebSocketSession.cut, WebSocketSession.reset])
def test_one_who_vanishes_harms_nobody(
    websocket_client: Make, break_it: Callable[[WebSocketSession], None]
) -> None:
    client = websocket_client(app)
    client.post("/login", {"name": "Ann"})
    ann, other = client.connect("/chat/blue"), client.connect("/chat/blue")
    break_it(other)
    ann.send("still here")
    assert ann.receive() == "Ann: still here"


def test_half_a_frame_and_silence_does_not_last(websocket_client: Make) -> None:
    client = websocket_client(app)
    client.post("/login", {"name": "Ann"})
    ws = client.connect("/chat/blue")
    ws.send_half("never finished")
    client.clock.advance(60)
    assert ws.expect_close()[0] == 1011  # it has not answered a ping


# [/broken]
