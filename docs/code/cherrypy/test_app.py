from __future__ import annotations

import pytest

from app import app
from ws4py_middleware.testing import HandshakeRefused, WebSocketTestClient


def test_session_decides() -> None:
    with WebSocketTestClient(app) as client:
        with pytest.raises(HandshakeRefused) as refused:
            client.connect("/chat/lobby")
        assert refused.value.response.status == 401

        client.get("/login?name=Ada")
        with client.connect("/chat/lobby") as ada:
            assert ada.receive() == "Welcome to lobby, Ada!"
            assert client.get("/announce?room=lobby&text=lunch").text == "told 1"
            assert ada.receive() == "lunch"
