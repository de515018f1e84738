from __future__ import annotations

import pytest

from app import app
from ws4py_middleware.testing import HandshakeRefused
from ws4py_middleware.testing.webtest import TestApp


def test_who_has_logged_in_may_chat() -> None:
    site = TestApp(app)
    with pytest.raises(HandshakeRefused, match="403 Forbidden: Log in first"):
        site.websocket("/chat/blue")
    site.post("/login", {"name": "Ann"})  # which sets the cookie of the session
    with site.websocket("/chat/blue") as ws:
        ws.send("hi")
        assert ws.receive() == "Ann: hi"
