"""The code of docs/howto/cherrypy.md runs, and does what is said of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.entrances.visitor import Visitor
from tests.seeds.blocks import serve
from tests.servers import ROOT, start, wait_for
from ws4py_middleware.server.cherrypysettings import check_names

PAGE = (ROOT / "docs" / "howto" / "cherrypy.md").read_text(encoding="utf-8")


def test_application_of_the_page_is_a_chat_for_those_who_have_said_their_names(tmp_path: Path) -> None:
    app = (ROOT / "docs" / "code" / "cherrypy" / "app.py").read_text(encoding="utf-8")
    with serve(app, tmp_path) as server:
        wait_for(lambda: "Bus STARTED" in server.log)
        url = f"{server.ws_url}/chat/lobby"
        with pytest.raises(InvalidStatus) as refused:
            connect(url, proxy=None)
        assert refused.value.response.status_code == 401
        cookie = server.http("/login?name=Ada").headers["Set-Cookie"].partition(";")[0]
        with connect(url, additional_headers={"Cookie": cookie}, proxy=None) as ws:
            assert ws.recv(timeout=5) == "Welcome to lobby, Ada!"
            ws.send("hello")
            assert ws.recv(timeout=5) == "Ada: hello"
            assert server.http("/announce?room=lobby&text=lunch").body == b"told 1"
            assert ws.recv(timeout=5) == "lunch"
            assert server.http("/goodnight").status == 200
            assert ws.recv(timeout=5) == "We close in five minutes."
        assert "Traceback" not in server.log


def test_application_of_the_page_runs_under_gunicorn_too() -> None:
    with start("gunicorn-gthread", "docs.code.cherrypy.app:app") as server:
        ada = Visitor(server)
        assert ada.refusal("/chat?room=lobby") == 401
        assert ada.ask("/login?name=Ada").status == 200
        with ada.connect("/chat?room=lobby") as ws:
            assert ws.recv(timeout=5) == "Welcome to lobby, Ada!"
            assert ada.ask("/goodnight").status == 200
            assert ws.recv(timeout=5) == "We close in five minutes."
        assert "Traceback" not in server.log


def test_settings_of_the_page_are_those_that_there_are() -> None:
    table = PAGE.split("| `tools.websocket.` |", 1)[1].split("\n\n", 1)[0]
    names = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    check_names(names)
    assert len(names) == 7
