"""docs/howto/migrating-from-flask-sock.md and -gevent-websocket.md: before and after do the same."""

from __future__ import annotations

import inspect
import re
import runpy
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import flask_sock
import geventwebsocket
import pytest
import simple_websocket
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from tests.docs.pages import CODE, read_page
from tests.docs.replacements import check_import, read_rows
from tests.seeds.blocks import serve
from tests.servers import start

FLASK_SOCK = read_page("howto/migrating-from-flask-sock")
GEVENT_WEBSOCKET = read_page("howto/migrating-from-gevent-websocket")
FROM_FLASK_SOCK = CODE / "migrating_from_flask_sock"
FROM_GEVENT_WEBSOCKET = CODE / "migrating_from_gevent_websocket"
WORKER = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"


@pytest.mark.parametrize("name", ["before", "after", "after_class"])
def test_route_of_flask_sock_is_the_same_before_and_after(name: str) -> None:
    app = f"docs.code.migrating_from_flask_sock.{name}:app"
    with start("gunicorn-gthread", app, threads=2) as server, ExitStack() as stack:
        count = 1 if name == "before" else 5  # it has a thread of the two for each
        for number in range(count):
            client = stack.enter_context(connect(f"{server.ws_url}/echo/{number}", proxy=None))
            client.send("hello")
            assert client.recv(timeout=5) == f"{number}: hello"
        assert server.http("/").status == 404


def test_view_decides_who_comes_in() -> None:
    app = "docs.code.migrating_from_flask_sock.after_view:app"
    with start("gunicorn-gthread", app) as server:
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{server.ws_url}/echo", proxy=None)
        assert refused.value.response.status_code == 401
        request = urllib.request.Request(f"{server.url}/login/ann", method="POST")
        with urllib.request.urlopen(request, timeout=5) as response:
            cookie = response.headers["Set-Cookie"].partition(";")[0]
        headers = {"Cookie": cookie}
        with connect(f"{server.ws_url}/echo", proxy=None, additional_headers=headers) as client:
            client.send("hello")
            assert client.recv(timeout=5) == "ann: hello"
        assert "Traceback" not in server.log


@pytest.mark.parametrize("name", ["client_before.py", "client_after.py"])
def test_client_of_simple_websocket_is_the_same_before_and_after(name: str, tmp_path: Path) -> None:
    with start("werkzeug", "examples.echo.app:app") as server:
        text = (FROM_FLASK_SOCK / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("localhost:9000", f"127.0.0.1:{server.port}"))
        done = subprocess.run(
            [sys.executable, str(tmp_path / name)], capture_output=True, text=True, timeout=30, check=True
        )
    assert done.stdout == "hello\n"


@pytest.mark.parametrize("name", ["before.py", "after.py"])
def test_chat_of_gevent_websocket_is_the_same_before_and_after(name: str, tmp_path: Path) -> None:
    text = (FROM_GEVENT_WEBSOCKET / name).read_text(encoding="utf-8")
    with serve(text, tmp_path) as server, ExitStack() as stack:
        url = f"{server.ws_url}/chat"
        ann, bob = (stack.enter_context(connect(url, proxy=None, compression=None)) for _ in range(2))
        ann.send("hello")
        assert ann.recv(timeout=5) == "somebody: hello"
        bob.send("hi")
        heard = ""
        while heard != "somebody: hi":  # he may have been there in time for the other
            heard = str(bob.recv(timeout=5))
        assert ann.recv(timeout=5) == "somebody: hi"


@pytest.mark.parametrize(
    ("name", "worker"), [("environ_before", WORKER), ("environ_after", "gevent")], ids=["before", "after"]
)
def test_websocket_in_the_environ_is_the_same_before_and_after(name: str, worker: str) -> None:
    assert f"$ gunicorn -k {worker} app:app" in GEVENT_WEBSOCKET
    app = f"docs.code.migrating_from_gevent_websocket.{name}:app"
    with start("gunicorn-gevent", app, options=["--worker-class", worker]) as server:
        with connect(server.ws_url, proxy=None, compression=None) as client:
            client.send("hello")
            assert client.recv(timeout=5) == "hello"
        assert server.http("/").body == b"a page"


def test_worker_of_gevent_websocket_answers_before_the_application() -> None:
    app = "docs.code.migrating_from_gevent_websocket.environ_after:app"
    with (
        start("gunicorn-gevent", app, options=["--worker-class", WORKER]) as server,
        connect(server.ws_url, proxy=None, compression=None) as client,
    ):
        with pytest.raises(ConnectionClosedError) as ended:
            client.recv(timeout=5)
        assert ended.value.sent is not None
        assert ended.value.sent.code == 1002


def members(module: object) -> set[str]:
    """Find the public classes and functions of a module, and the methods that the classes define."""
    found = set()
    for name, value in vars(module).items():
        if name.startswith("_") or inspect.ismodule(value) or name in ("wraps", "Blueprint", "Response"):
            continue
        if isinstance(value, type):
            found.add(name)
            methods = [each for each in vars(value) if not each.startswith("_")]
            found |= {f"{name}.{each}" for each in methods if callable(getattr(value, each))}
    return found


def test_every_name_of_flask_sock_and_simple_websocket_has_a_row() -> None:
    sections = dict(re.findall(r"^### (\w+)\n\n((?:\|.*\n)+)", FLASK_SOCK, re.MULTILINE))
    sock = read_rows(sections["flask_sock"])
    assert (
        set(sock)
        == {"Sock", "Sock.init_app", "Sock.route"}
        == members(flask_sock) - members(simple_websocket)
    )
    rows = read_rows(sections["simple_websocket"])
    inherited = {"Server.send", "Server.receive", "Server.close"}
    assert set(rows) - inherited == members(simple_websocket)
    (options,) = re.findall(r"^\| option (?:.*\n)(?:\|.*\n)+", FLASK_SOCK, re.MULTILINE)
    parameters = set(inspect.signature(simple_websocket.Server.accept).parameters) - {"environ"}
    assert set(read_rows(options)) == parameters
    for row in (*sock.values(), *rows.values()):
        check(row.here, row.why)


def test_every_name_of_gevent_websocket_has_a_row_and_each_is_there() -> None:
    (table,) = re.findall(r"^\| name (?:.*\n)(?:\|.*\n)+", GEVENT_WEBSOCKET, re.MULTILINE)
    rows = read_rows(table)
    assert set(geventwebsocket.__all__) <= set(rows)
    for name, row in rows.items():
        if name != "websocket.WebSocket.handler" and name != "websocket.WebSocket.closed":  # of its objects
            find_theirs(name)
        check(row.here, row.why)


def find_theirs(name: str) -> None:
    found: object = geventwebsocket
    path = "geventwebsocket"
    for part in name.split("."):
        path += f".{part}"
        if not hasattr(found, part):
            __import__(path)
        found = getattr(found, part)


def check(here: str, why: str) -> None:
    """Check that what is named is there, and that what is gone has a reason."""
    paths = re.findall(r"`(ws4py_middleware[\w.]*)`", here + why)
    assert paths or (here == "gone" and why), (here, why)
    for path in paths:
        check_import(path)


def test_every_file_is_tried() -> None:
    names = {path.name for folder in (FROM_FLASK_SOCK, FROM_GEVENT_WEBSOCKET) for path in folder.glob("*.py")}
    assert names == {
        *("before.py", "after.py", "after_class.py", "after_view.py", "client_before.py", "client_after.py"),
        *("environ_before.py", "environ_after.py"),
    }
    assert runpy.run_path(str(FROM_FLASK_SOCK / "after.py"))["app"]
