"""Figures on real servers: what a handler is told of itself, and the line that its end leaves in the log."""

from __future__ import annotations

import json

import pytest
from websockets.sync.client import connect

from tests.servers import start, wait_for

SERVERS = {
    "gunicorn-sync": "wsgi",
    "gunicorn-gthread": "wsgi",
    "gunicorn-gevent": "wsgi",
    "cheroot": "wsgi",
    "uvicorn-websockets": "asgi",
}


@pytest.mark.parametrize("kind", SERVERS)
def test_handler_knows_its_figures_and_its_end_is_logged(kind: str) -> None:
    is_asgi = SERVERS[kind] == "asgi"
    with start(kind, f"tests.entrances.figures_app:{SERVERS[kind]}") as server:
        url = server.ws_url + "/tell/caf%C3%A9?token=secret"
        with connect(url, compression=None, proxy=None) as client:
            client.send("how are you?")
            first = json.loads(client.recv(10))
            client.send("and now?")
            second = json.loads(client.recv(10))
            client.close(4002, "thanks")
        assert (first["messages_received"], first["messages_sent"]) == (1, 0)
        assert (second["messages_received"], second["messages_sent"]) == (2, 1)
        # Under ASGI the frames, with their heads and masks, are the server's.
        assert second["bytes_received"] == 12 + 8 + (0 if is_asgi else 2 * 6)
        assert second["bytes_sent"] > 100
        assert (second["handler"], second["path"], second["client"]) == ("Telling", "/tell/café", "127.0.0.1")
        assert (second["state"], second["close_code"]) == ("open", None)
        assert second["age"] > first["age"] > 0
        wait_for(lambda: "closed handler=Telling" in server.log, what="the line in the log")
        (line,) = [line for line in server.log.splitlines() if "closed handler=" in line]
        assert 'path="/tell/caf\\u00e9" client="127.0.0.1" side=server code=4002 reason="thanks"' in line
        assert "messages_received=2 messages_sent=2 messages_dropped=0" in line
        assert "secret" not in line
        assert "Traceback" not in server.log
