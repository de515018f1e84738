"""docs/howto/clients.md: every block of code runs, against a server of ours."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

import cherrypy
import pytest
from werkzeug.test import Client

from tests.entrances.phoenix import phoenix
from tests.entrances.replays import replay, said
from tests.servers import ROOT, certificates, start
from ws4py_middleware import browser
from ws4py_middleware.client import WebSocketBaseClient

PAGE = (ROOT / "docs" / "howto" / "clients.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_runs_and_says_what_it_promises(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(certificates()[2].read_bytes())
    monkeypatch.chdir(tmp_path)
    printed = []
    with (
        start("werkzeug", "examples.echo.app:app") as plain,
        start("werkzeug", "examples.echo.app:app", tls=True) as tls,
        contextlib.ExitStack() as stack,
    ):
        prices = stack.enter_context(phoenix(replay(said(room="prices", id="7-1", data="42"), end=1000)))
        for block in BLOCKS:
            code = block.replace("localhost:9000", f"127.0.0.1:{plain.port}").replace(":9443", f":{tls.port}")
            code = code.replace("ws://localhost:8000", prices.url)
            names: dict[str, Any] = {"__name__": "page"}
            exec(compile(code, "clients.md", "exec"), names)
            if "unverified" in names:
                for client in (names["client"], names["unverified"]):
                    with client:
                        client.send("over TLS")
                        assert str(client.receive(5)) == "over TLS"
            printed.append(capsys.readouterr().out)
    assert printed[0] == "hello\n"
    assert printed[1] == "3\n2\n1\nclosed 1000 \n"  # the server gives no reason
    assert printed[2] == "to the server, once from each\n" * 20
    assert printed[3] == "it says hello\n"
    assert printed[4] == "number 0\nnumber 1\nnumber 2\n"
    assert "hello, asyncio\n" in printed
    assert "subscribe\n" in printed
    assert "hello, tornado\n" in printed
    assert any(lines.startswith("200 Connect to /echo") for lines in printed)
    assert "prices 7-1 42\n" in printed
    assert json.loads((tmp_path / "positions.json").read_text()) == {"prices": "7-1"}


def test_the_file_for_browsers_is_served_as_the_page_says() -> None:
    (block,) = [block for block in BLOCKS if "STATICFILES_DIRS" in block]
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "clients.md", "exec"), names)
    with names["app"].test_client().get("/replay.js") as response:
        assert (response.status_code, response.mimetype) == (200, "text/javascript")
        assert response.text == browser.text("replay.js")
    [(prefix, directory)] = names["STATICFILES_DIRS"]
    assert (prefix, os.listdir(directory)) == ("ws4py", ["replay.js"])
    config = {"/": {"request.show_tracebacks": False}, **names["cherrypy_config"]}
    tree = cherrypy._cptree.Tree()
    served = tree.mount(None, "/", config)
    with Client(served).get("/replay.js") as response:
        assert response.get_data(as_text=True) == browser.text("replay.js")


def test_the_page_names_the_exceptions_that_connect_documents() -> None:
    documented = WebSocketBaseClient.connect.__doc__ or ""
    for name in ("HandshakeError", "TimeoutError", "OSError", "RuntimeError"):
        assert f"{name}:" in documented
        assert f"| `{name}` |" in PAGE
