from __future__ import annotations

import pytest

from app import app
from ws4py_middleware.testing import HandshakeRefused, WebSocketTestClient


def test_token_decides() -> None:
    with WebSocketTestClient(app) as client:
        with pytest.raises(HandshakeRefused) as refused:
            client.connect("/chat/lobby")
        assert refused.value.response.status == 401

        with client.connect("/chat/lobby", cookies={"token": "swordfish"}) as ada:
            assert ada.receive() == "Welcome, Ada!"
            assert client.post("/rooms/lobby", json={"text": "lunch"}).json() == {"here": ["Ada"]}
            assert ada.receive() == "lunch"
