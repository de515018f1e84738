"""docs/howto/migrating-from-ws4py.md: every name of ws4py is in it, and what it says of it is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import cherrypy
import pytest
from websockets.sync.client import connect

from tests.docs.replacements import Row, locate, read_rows
from tests.docs.ws4py_names import MODULES, find_names
from tests.seeds.blocks import serve
from tests.servers import ROOT, start
from ws4py_middleware import AsyncWebSocket
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.framing import Frame
from ws4py_middleware.manager import EPollPoller, KQueuePoller, SelectPoller, WebSocketManager
from ws4py_middleware.server.asyncioserver import WebSocketProtocol
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin
from ws4py_middleware.server.geventserver import WebSocketWSGIHandler, WSGIServer
from ws4py_middleware.server.wsgirefserver import WebSocketWSGIRequestHandler
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication
from ws4py_middleware.streaming import Stream
from ws4py_middleware.utf8validator import Utf8Validator
from ws4py_middleware.websocket import EchoWebSocket, Heartbeat, WebSocket

PAGE = (ROOT / "docs" / "howto" / "migrating-from-ws4py.md").read_text(encoding="utf-8")
CODE = ROOT / "docs" / "code" / "migrating_from_ws4py"
SAME = "the same"
GONE = "gone"


def read_tables() -> dict[str, dict[str, Row]]:
    """Read the tables: module → name → what is said of it."""
    sections = re.findall(r"^### (ws4py[\w.]*)\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return {module: read_rows(table) for module, table in sections}


TABLES = read_tables()

#: What a class has only once there is one of it, by the class.
MAKERS: dict[Any, Any] = {
    EPollPoller: EPollPoller,
    AsyncWebSocket: AsyncWebSocket,
    Frame: Frame,
    HandshakeError: lambda: HandshakeError("why"),
    Heartbeat: lambda: Heartbeat(WebSocket()),
    SelectPoller: SelectPoller,
    Stream: Stream,
    TornadoWebSocketClient: lambda: TornadoWebSocketClient("ws://localhost/"),
    Utf8Validator: Utf8Validator,
    WebSocket: WebSocket,
    WebSocketBaseClient: lambda: WebSocketBaseClient("ws://localhost/"),
    WebSocketManager: WebSocketManager,
    WebSocketPlugin: lambda: WebSocketPlugin(cherrypy.engine),
    WebSocketProtocol: lambda: WebSocketProtocol(EchoWebSocket),
    WebSocketWSGIApplication: WebSocketWSGIApplication,
    WSGIServer: lambda: WSGIServer(("127.0.0.1", 0)),
}
#: What asyncio, gevent and wsgiref set while they work, and what only another platform can make.
NOT_HERE = {
    (KQueuePoller, "timeout"),
    (WebSocketProtocol, "transport"),
    (WebSocketWSGIHandler, "socket"),
    (WebSocketWSGIRequestHandler, "raw_requestline"),
}


def find(path: str) -> None:
    """Find what a dotted path names: a module's attribute, or that of a class or of an object of it."""
    found: Any
    found, parts = locate(path)
    for part in parts:
        if isinstance(found, type) and (found, part) in NOT_HERE:
            return
        if not hasattr(found, part) and found in MAKERS:
            found = MAKERS[found]()
        found = getattr(found, part)


@pytest.mark.parametrize("module", [module for module in MODULES if find_names(module)])
def test_every_name_of_ws4py_is_in_the_table_of_its_module(module: str) -> None:
    assert set(TABLES[module]) == find_names(module)


def test_no_table_is_of_a_module_that_ws4py_does_not_have() -> None:
    assert {module for module in MODULES if find_names(module)} == set(TABLES)


@pytest.mark.parametrize("module", TABLES)
def test_what_replaces_a_name_is_there_and_what_is_gone_has_a_reason(module: str) -> None:
    for name, row in TABLES[module].items():
        old = f"{module}.{name}"
        if row.here == SAME:
            find(old.replace("ws4py", "ws4py_middleware", 1))
        elif row.here == GONE:
            assert row.why, old
            with pytest.raises(AttributeError):
                find(old.replace("ws4py", "ws4py_middleware", 1))
        else:
            assert row.why, old
            (new,) = re.findall(r"`(ws4py_middleware[\w.]*)`", row.here)
            find(new)
        for path in re.findall(r"`(ws4py_middleware\.[\w.]+)(?:\(\))?`", row.why):
            find(path)


def test_command_of_the_page_makes_one_of_the_other(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text((CODE / "before.py").read_text())
    (command,) = re.findall(r"^ *\$ (grep .*)$", PAGE, re.MULTILINE)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, timeout=20)
    assert (tmp_path / "app.py").read_text() == (CODE / "after.py").read_text()


def chat(url: str) -> None:
    """Check that everybody who is there hears what one says."""
    with connect(url, proxy=None) as ann, connect(url, proxy=None) as bob:
        ann.send("hello")
        assert ann.recv(timeout=5) == "somebody: hello"
        bob.send("hi")
        heard = ""
        while heard != "somebody: hi":  # he may have been there in time for the other
            heard = str(bob.recv(timeout=5))
        assert ann.recv(timeout=5) == "somebody: hi"


@pytest.mark.parametrize("name", ["before.py", "after.py"])
def test_chat_of_the_page_is_the_same_before_and_after(name: str, tmp_path: Path) -> None:
    with serve((CODE / name).read_text(), tmp_path) as server:
        chat(server.ws_url)


def test_chat_of_the_page_runs_under_gunicorn() -> None:
    with start("gunicorn-sync", "docs.code.migrating_from_ws4py.gunicorn_app:app") as server:
        chat(server.ws_url)
        assert "Traceback" not in server.log
