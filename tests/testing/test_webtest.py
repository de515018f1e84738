from __future__ import annotations

from typing import Any

import pytest

from tests.testing import site
from ws4py_middleware.testing import HandshakeRefused
from ws4py_middleware.testing.webtest import TestApp


def test_websocket_is_opened_by_the_visitor_of_the_pages() -> None:
    app = TestApp(site.members, extra_environ={"REMOTE_USER": "admin"})
    with pytest.raises(HandshakeRefused, match="401 Unauthorized: members only"):
        app.websocket("/facts/a")
    app.post("/login", {"name": "ann"}, status=303)
    with app.websocket("/facts/a", headers={"X-Colour": "red"}, environ={"REMOTE_ADDR": "10.0.0.1"}) as ws:
        facts = ws.receive_json()
    assert (facts["HTTP_COOKIE"], facts["REMOTE_USER"]) == ("user=ann", "admin")
    assert (facts["HTTP_X_COLOUR"], facts["REMOTE_ADDR"]) == ("red", "10.0.0.1")
    app.get("/logout")
    with pytest.raises(HandshakeRefused):
        app.websocket("/facts/a")


def test_cookies_of_a_refusal_are_the_visitors() -> None:
    def refuse(environ: Any, start_response: Any) -> Any:
        start_response("403 Forbidden", [("Set-Cookie", "seen=1; Path=/"), ("Content-Type", "text/plain")])
        return [b"no"]

    app = TestApp(refuse)
    with pytest.raises(HandshakeRefused):
        app.websocket("/ws")
    assert app.cookies == {"seen": "1"}


def test_clock_moves_what_is_open() -> None:
    app = TestApp(site.wsgi)
    ws = app.websocket("/echo")
    app.clock.advance(100)
    ws.expect_close(1000)
    site.ENDS.clear()
