"""examples/cherrypy_tls does what it says, with both TLS libraries."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from websockets.sync.client import connect

from examples.cherrypy_tls.app import make_certificate
from tests.servers import start


@pytest.mark.parametrize("adapter", ["builtin", "pyopenssl"])
def test_each_message_comes_back_before_the_next_is_sent(adapter: str) -> None:
    with start("script", "examples/cherrypy_tls/app.py", tls=True, options=["--adapter", adapter]) as server:
        assert b"wss://" in server.http("/").body
        with connect(f"{server.ws_url}/ws", ssl=server.client_context, proxy=None) as ws:
            for number in range(10):
                ws.send(f"Grüße {number}")
                assert ws.recv(timeout=5) == f"Grüße {number}"
        assert ws.protocol.close_code == 1000
        assert "Traceback" not in server.log


def test_certificate_that_it_makes_is_one_for_localhost(tmp_path: Path) -> None:
    certificate, key = make_certificate(str(tmp_path))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    trusted = ssl.create_default_context(cafile=certificate).get_ca_certs()
    assert ("DNS", "localhost") in trusted[0]["subjectAltName"]
