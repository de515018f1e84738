"""WebSocketASGI around FastAPI, Starlette, Quart and Django, and mounted inside Starlette."""

from __future__ import annotations

import pytest
from websockets.exceptions import InvalidStatus

from tests.entrances.asgi import client
from tests.servers import Server, start

APPS = {
    "fastapi": ("/ws/a", ""),
    "starlette": ("/ws/a", ""),
    "quart": ("/ws/a", ""),
    "django": ("/ws/a", ""),
    "mounted": ("/sub/ws/a", "/sub"),
    "mounted_at_root": ("/ws/a", ""),
}


@pytest.mark.parametrize("name", APPS)
def test_websockets_are_beside_the_application(name: str) -> None:
    target, script_name = APPS[name]
    with start("uvicorn-websockets-sansio", f"tests.entrances.asgi_frameworks:{name}") as server:
        answer = server.http("/")
        # Each has lived through the beginning of its server; Django knows none.
        assert (answer.status, b"began" in answer.body) == (200, name != "django")
        with client(server, target) as websocket:
            websocket.send("hello")
            assert websocket.recv(timeout=10) == f"a: hello {script_name}"
        with pytest.raises(InvalidStatus) as caught, client(server, "/nowhere"):
            pass
        assert caught.value.response.status_code in (403, 404)
        if name == "fastapi":
            with client(server, "/own") as websocket:
                assert websocket.recv(timeout=10) == "theirs"
        if name == "django":
            check_refusals(server)
        server.stop()
        assert "Traceback" not in server.log


def check_refusals(server: Server) -> None:
    """Be refused by each kind of response that Django has."""
    for kind in ("plain", "streaming", "async"):
        with pytest.raises(InvalidStatus) as caught, client(server, f"/refused/{kind}"):
            pass
        response = caught.value.response
        assert (response.status_code, response.body) == (402, b"no entry")
        if kind == "plain":
            assert response.headers["X-By"] == "django"
            assert response.headers["Set-Cookie"].startswith("asked=yes")
