from __future__ import annotations

import os
import ssl
from collections.abc import Callable

import pytest

from tests.servers import certificates
from ws4py_middleware.testing import HandshakeRefused
from ws4py_middleware.testing.live import LiveClient, LiveServer
from ws4py_middleware.testing.servers import Gunicorn

Start = Callable[..., LiveServer]


@pytest.fixture
def server(live_server: Start) -> LiveServer:
    return live_server("tests.testing.site:wsgi", worker="gthread")


def test_live_server_is_asked_as_the_application_in_memory(server: LiveServer) -> None:
    assert server.post("/x", {"a": "b"}).json()["body"] == "a=b"
    assert server.get("/login").header("location") == "/"
    with server.connect("/facts/ß", subprotocols=["chat.v1"], headers={"X-Colour": "red"}) as ws:
        facts = ws.receive_json()
        assert (facts["room"], facts["HTTP_COOKIE"]) == ("ß", "user=ann")
        assert ws.subprotocol == "chat.v1"
    with pytest.raises(HandshakeRefused, match="403 Forbidden: pages of the origin"):
        server.connect("/echo", origin="http://evil.example")
    with server.connect("/echo") as ws:
        ws.send("x" * 1_000_000)
        assert len(ws.receive()) == 1_000_000
        assert ws.ping(b"x") > 0
    with pytest.raises(TypeError, match="makes its environ"):
        server.connect("/echo", environ={})


def test_live_server_is_used_again_by_another_visitor(live_server: Start, server: LiveServer) -> None:
    assert live_server("tests.testing.site:wsgi", worker="gthread") is server
    with server.connect("/facts/a") as ws:
        assert ws.receive_json()["HTTP_COOKIE"] is None


def test_client_of_a_server_that_was_started_elsewhere(server: LiveServer) -> None:
    with LiveClient(server.url) as client:
        with client.connect("/echo") as ws:
            ws.send("hi")
            assert ws.receive() == "hi"
        with pytest.raises(RuntimeError, match="not started here"):
            client.shutdown()
    with pytest.raises(ValueError, match="url is 'ftp://a'; it is one like"):
        LiveClient("ftp://a")


def test_live_server_speaks_tls_with_a_certificate_of_its_own() -> None:
    with LiveServer("tests.testing.site:wsgi", tls=True) as server:
        assert server.url.startswith("https://")
        with server.connect("/facts/a") as ws:
            assert ws.receive_json()["wsgi.url_scheme"] == "https"
        with server.connect("/echo") as ws:
            ws.send("x" * 1_000_000)
            assert len(ws.receive()) == 1_000_000
            ws.reset()
        assert server.get("/x").json()["method"] == "GET"
        # Nobody else has a reason to believe it.
        with LiveClient(server.url) as other, pytest.raises(ssl.SSLCertVerificationError):
            other.get("/x")


def test_shutdown_closes_with_1001_over_tls_with_a_certificate_of_ours() -> None:
    cert, key, _ = (str(path) for path in certificates())
    with LiveServer("tests.testing.site:wsgi", worker="sync", env={"A": "b"}, tls=(cert, key)) as server:
        ws = server.connect("/echo")
        server.shutdown()
        assert ws.expect_close()[0] == 1001
        assert "GET /echo" in server.server.log
        pid = server.server.process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_server_that_cannot_start_shows_its_log() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)has ended at once:.*No module named 'tests\.testing\.gone'"):
        Gunicorn("tests.testing.gone:app")
