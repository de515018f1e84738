"""examples/starlette_echo and examples/fastapi_chat do what they say, on real servers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from tests.entrances.asgi import client
from tests.servers import Server, start


@pytest.mark.parametrize("kind", ["uvicorn-websockets-sansio", "granian"])
def test_starlette_echo_has_each_kind_of_handler(kind: str) -> None:
    with start(kind, "examples.starlette_echo.app:app") as server:
        assert b"/echo, /function, /coroutine" in server.http("/").body
        for path in ("/echo", "/function", "/coroutine"):
            with client(server, path) as websocket:
                websocket.send("Grüße")
                assert websocket.recv(timeout=10) == "Grüße"
        assert "Traceback" not in server.log


def hear(websocket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a kind."""
    while True:
        message: dict[str, Any] = json.loads(websocket.recv(timeout=10))
        if message["type"] == kind:
            return message


def post(server: Server, path: str, body: object) -> tuple[int, bytes]:
    request = urllib.request.Request(
        server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_fastapi_chat_people_talk_and_the_site_is_beside_them() -> None:
    with start("uvicorn-websockets-sansio", "examples.fastapi_chat.app:app") as server:
        page = server.http("/room/lobby").body.decode()
        assert "https://" not in page
        for line in page.split('"'):
            if line.startswith("/static/"):
                assert server.http(line).status == 200
        with client(server, "/chat/lobby?name=Ada") as ada:
            assert hear(ada, "welcome")["name"] == "Ada"
            with client(server, "/chat/lobby?name=%20ada%00") as other, client(server, "/chat/else") as away:
                assert hear(other, "welcome")["name"] == "ada 2"
                assert hear(away, "welcome")["name"] == "Guest"
                assert json.loads(server.http("/api/rooms/lobby").body) == ["Ada", "ada 2"]
                other.send("  hello <b>you</b> ")
                for websocket in (ada, other):
                    said = hear(websocket, "said")
                    assert (said["name"], said["text"]) == ("ada 2", "hello <b>you</b>")
                assert post(server, "/api/rooms/lobby", {"text": "lunch"}) == (200, b"2")
                assert hear(ada, "said")["name"] == ""
                assert post(server, "/api/rooms/lobby", {"text": " "})[0] == 422
            assert hear(ada, "people")["names"] == ["Ada"]
            ada.send("x" * 5000)
            with pytest.raises(Exception, match="1009"):
                hear(ada, "said")
        assert "Traceback" not in server.log
