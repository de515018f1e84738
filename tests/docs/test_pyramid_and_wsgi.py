"""docs/howto/pyramid-and-wsgi.md: both applications, on gunicorn and waitress."""

from __future__ import annotations

import json

from tests.entrances.visitor import Visitor
from tests.servers import start


def test_pyramids_permissions_decide_and_its_views_speak_to_a_room() -> None:
    with start("waitress", "docs.code.pyramid.app:app") as server:
        ada = Visitor(server)
        assert ada.refusal("/chat/lobby") == 403
        assert ada.ask("/rooms/lobby", {"text": "lunch"}).status == 403
        assert ada.ask("/login", {"name": "Ada"}).status == 200
        with ada.connect("/chat/lobby") as peer:
            assert peer.recv(10) == "Welcome, Ada!"
            peer.send("hello")
            assert peer.recv(10) == "Ada: hello"
            assert json.loads(ada.ask("/rooms/lobby", {"text": "lunch"}).body) == {"told": 1}
            assert peer.recv(10) == "lunch"
        assert "Traceback" not in server.log


def test_bare_application_decides_by_a_cookie_and_speaks_to_a_room() -> None:
    with start("gunicorn-sync", "docs.code.wsgi.app:app") as server:
        ada = Visitor(server)
        assert ada.ask("/").body == b"a page"
        assert ada.refusal("/chat/lobby") == 401
        ada.cookies["token"] = "swordfish"
        assert ada.refusal("/chat/board") == 403
        with ada.connect("/chat/lobby") as peer:
            assert peer.recv(10) == "Welcome, Ada!"
            peer.send("hello")
            assert peer.recv(10) == "Ada: hello"
            assert ada.ask("/rooms/lobby", {}).body == b"told 1"
            assert peer.recv(10) == ""
        assert "Traceback" not in server.log
