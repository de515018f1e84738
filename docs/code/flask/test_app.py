from __future__ import annotations

from collections.abc import Iterator

import pytest

from app import app
from ws4py_middleware.testing import HandshakeRefused, WebSocketTestClient


@pytest.fixture
def client() -> Iterator[WebSocketTestClient]:
    with WebSocketTestClient(app) as client:
        yield client


def test_who_has_not_logged_in_stays_outside(client: WebSocketTestClient) -> None:
    with pytest.raises(HandshakeRefused) as refused:
        client.connect("/chat/lobby")
    assert refused.value.response.status == 401


def test_what_is_said_comes_to_the_room(client: WebSocketTestClient) -> None:
    client.post("/login", {"name": "Ada"})
    with client.connect("/chat/lobby") as ada, client.connect("/chat/kitchen") as other:
        assert ada.receive() == "Welcome, Ada!"
        ada.send("hello")
        assert ada.receive() == "Ada: hello"
        assert other.receive_waiting() == ["Welcome, Ada!"]


def test_view_speaks_to_the_room(client: WebSocketTestClient) -> None:
    client.post("/login", {"name": "Ada"})
    with client.connect("/chat/lobby") as ada:
        assert client.post("/rooms/lobby", {"text": "lunch"}).json() == {"here": ["Ada"]}
        assert ada.receive_waiting() == ["Welcome, Ada!", "lunch"]


def test_who_says_nothing_for_an_hour_is_hung_up_on(client: WebSocketTestClient) -> None:
    client.post("/login", {"name": "Ada"})
    with client.connect("/chat/lobby") as ada:
        client.clock.advance(3600)  # which takes no time
        ada.expect_close(1000)
