from __future__ import annotations

from collections.abc import Callable

import pytest

from app import app
from ws4py_middleware.testing import HandshakeRefused, WebSocketTestClient


def test_who_has_not_logged_in_is_refused(websocket_client: Callable[..., WebSocketTestClient]) -> None:
    client = websocket_client(app)
    with pytest.raises(HandshakeRefused) as refused:
        client.connect("/chat/blue")
    assert refused.value.status == 403
    assert refused.value.text == "Log in first."


def test_pages_of_others_are_refused(websocket_client: Callable[..., WebSocketTestClient]) -> None:
    client = websocket_client(app)
    client.post("/login", {"name": "Ann"})
    with pytest.raises(HandshakeRefused, match="403 Forbidden: pages of the origin"):
        client.connect("/chat/blue", origin="https://evil.example")


def test_subprotocol_is_agreed_on(websocket_client: Callable[..., WebSocketTestClient]) -> None:
    client = websocket_client(app)
    client.post("/login", {"name": "Ann"})
    with client.connect("/chat/blue", subprotocols=["chat.v2", "chat.v1"]) as ws:
        assert ws.subprotocol == "chat.v1"
