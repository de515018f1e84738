"""docs/howto/starlette-and-fastapi.md: both applications, on uvicorn and hypercorn."""

from __future__ import annotations

import json

from tests.entrances.visitor import Visitor
from tests.servers import start


def test_fastapis_application_decides_by_a_token_and_speaks_to_a_room() -> None:
    with start("uvicorn-websockets-sansio", "docs.code.fastapi.app:app") as server:
        ada = Visitor(server)
        assert ada.refusal("/chat/lobby") == 401
        ada.cookies["token"] = "swordfish"
        assert ada.refusal("/chat/board") == 403
        with ada.connect("/chat/lobby") as peer:
            assert peer.recv(10) == "Welcome, Ada!"
            peer.send("hello")
            assert peer.recv(10) == "Ada: hello"
            answer = ada.ask("/rooms/lobby", {"text": "lunch"}, as_json=True)
            assert json.loads(answer.body) == {"here": ["Ada"]}
            assert peer.recv(10) == "lunch"
        assert "Traceback" not in server.log


def test_starlettes_session_decides_on_what_is_mounted() -> None:
    with start("hypercorn", "docs.code.starlette.app:app", options=["--graceful-timeout", "1"]) as server:
        ada = Visitor(server)
        assert ada.refusal("/live/chat/lobby") == 401
        assert ada.ask("/login?name=Ada", {}).status == 200
        with ada.connect("/live/chat/lobby") as peer:
            assert peer.recv(10) == "Welcome, Ada!"
            peer.send("hello")
            assert peer.recv(10) == "Ada: hello"
        assert "Traceback" not in server.log
