from __future__ import annotations

from app import app
from ws4py_middleware.testing import WebSocketTestClient


def test_what_is_said_is_heard_in_the_room_only() -> None:
    with WebSocketTestClient(app) as client:
        one, other = client.connect("/chat/lobby"), client.connect("/chat/lobby")
        third = client.connect("/chat/kitchen")
        one.send("Hello!")
        assert other.receive() == "Hello!"
        third.expect_nothing(within=60)


def test_announcement_is_heard() -> None:
    with WebSocketTestClient(app) as client, client.connect("/chat/lobby") as ws:
        answer = client.post("/announce/lobby", {"text": "Lunch is ready."})
        assert answer.text == "told 1\n"
        assert ws.receive() == "Lunch is ready."
