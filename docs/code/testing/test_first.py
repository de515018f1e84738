from __future__ import annotations

from app import app
from ws4py_middleware.testing import WebSocketTestClient


def test_what_is_said_is_heard_in_the_room() -> None:
    with WebSocketTestClient(app) as client:
        client.post("/login", {"name": "Ann"})
        with client.connect("/chat/blue") as ann, client.connect("/chat/blue") as other:
            ann.send("hi")
            assert other.receive() == "Ann: hi"
            assert ann.receive() == "Ann: hi"
