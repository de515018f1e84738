from __future__ import annotations

from typing import Any

import pytest

from app import app


@pytest.fixture(params=["in memory", "gthread"])
def client(request: pytest.FixtureRequest) -> Any:
    if request.param == "in memory":
        return request.getfixturevalue("websocket_client")(app)
    return request.getfixturevalue("live_server")("app:app", worker=request.param)


def test_what_is_said_is_heard_in_the_room(client: Any) -> None:
    client.post("/login", {"name": "Ann"})
    with client.connect("/chat/blue") as ann:
        ann.send("hi")
        assert ann.receive() == "Ann: hi"
