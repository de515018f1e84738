"""docs/howto/clients.md and reconnecting.md: every file of theirs runs, against servers of ours."""

from __future__ import annotations

import json
import os
import runpy
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cherrypy
import pytest
from werkzeug.test import Client

from tests.docs.pages import CODE, read_page
from tests.entrances.phoenix import phoenix
from tests.entrances.replays import replay, said
from tests.servers import Server, certificates, start
from ws4py_middleware import browser
from ws4py_middleware.client import WebSocketBaseClient

PAGE = read_page("howto/clients")
FOLDER = CODE / "clients"
COMING_BACK = CODE / "reconnecting"

#: File → what it prints.
PRINTS = {
    "base.py": "hello\n",
    "countdown.py": "3\n2\n1\nclosed 1000 \n",  # the server gives no reason
    "errors.py": "200 Connect to /echo with a WebSocket.\n\n",
    "in_a_thread.py": "it says hello\n",
    "in_asyncio.py": "hello, asyncio\n",
    "in_tornado.py": "hello, tornado\n",
    "many.py": "to the server, once from each\n" * 20,
    "proxy.py": "",
    "redirects.py": "",
    "tls.py": "",
    "with_gevent.py": "number 0\nnumber 1\nnumber 2\n",
}


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    with start("werkzeug", "examples.echo.app:app") as server:
        yield server


@pytest.fixture(scope="module")
def tls() -> Iterator[Server]:
    with start("werkzeug", "examples.echo.app:app", tls=True) as server:
        yield server


def run(path: Path, directory: Path, addresses: dict[str, str]) -> dict[str, Any]:
    """Run a copy of a file, with other addresses in it; return its names."""
    text = path.read_text(encoding="utf-8")
    for old, new in addresses.items():
        text = text.replace(old, new)
    copy = directory / path.name
    copy.write_text(text, encoding="utf-8")
    return runpy.run_path(str(copy))


@pytest.mark.parametrize("name", PRINTS)
def test_client_of_the_page_runs_and_prints_what_it_promises(
    name: str,
    plain: Server,
    tls: Server,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "ca.pem").write_bytes(certificates()[2].read_bytes())
    monkeypatch.chdir(tmp_path)
    addresses = {"localhost:9000": f"127.0.0.1:{plain.port}", "localhost:9443": f"localhost:{tls.port}"}
    names = run(FOLDER / name, tmp_path, addresses)
    assert capsys.readouterr().out == PRINTS[name]
    if name == "tls.py":
        for client in (names["client"], names["unverified"]):
            with client:
                client.send("over TLS")
                assert str(client.receive(5)) == "over TLS"


def test_every_file_is_tried() -> None:
    assert set(PRINTS) == {path.name for path in FOLDER.glob("*.py")}


def test_feed_of_the_page_gets_what_it_asks_for(
    plain: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(COMING_BACK / "feed.py", tmp_path, {"localhost:9000": f"127.0.0.1:{plain.port}"})
    assert capsys.readouterr().out == "subscribe\n"


def test_prices_of_the_page_go_on_where_they_were(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with phoenix(replay(said(room="prices", id="7-1", data="42"), end=1000)) as server:
        run(COMING_BACK / "prices.py", tmp_path, {"ws://localhost:8000": server.url})
    assert capsys.readouterr().out == "prices 7-1 42\n"
    assert json.loads((tmp_path / "positions.json").read_text()) == {"prices": "7-1"}


def test_file_for_browsers_is_served_as_the_page_says() -> None:
    [(prefix, directory)] = runpy.run_path(str(COMING_BACK / "static_django.py"))["STATICFILES_DIRS"]
    assert (prefix, os.listdir(directory)) == ("ws4py", ["replay.js"])
    settings = runpy.run_path(str(COMING_BACK / "static_cherrypy.py"))["config"]
    tree = cherrypy._cptree.Tree()
    served = tree.mount(None, "/", {"/": {"request.show_tracebacks": False}, **settings})
    with Client(served).get("/replay.js") as response:
        assert response.get_data(as_text=True) == browser.text("replay.js")
    with start("gunicorn-gthread", "docs.code.replay.app:app") as server:
        with urllib.request.urlopen(server.url + "/replay.js", timeout=5) as response:
            assert response.headers.get_content_type() == "text/javascript"
            assert response.read().decode() == browser.text("replay.js")
        assert "Traceback" not in server.log


def test_page_names_the_exceptions_that_connect_documents() -> None:
    documented = WebSocketBaseClient.connect.__doc__ or ""
    for name in ("HandshakeError", "TimeoutError", "OSError", "RuntimeError"):
        assert f"{name}:" in documented
        assert f"| `{name}` |" in PAGE
