"""``serve``: a development server that starts again when something changes."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.cli.terminal import PROGRAM, Terminal
from tests.servers import ROOT, certificates, client_context, free_port, wait_for

WSGI = """
from ws4py_middleware import WebSocket

GREETING = "hello"

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [GREETING.encode()]

class Upper(WebSocket):
    def received_message(self, message):
        self.send(str(message).upper())
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for name in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{name}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"async"})

def create_app(name):
    return globals()[name]
"""

#: Seconds for what takes one or two: a busy machine starts a Python in ten.
PATIENCE = 60.0


class Served:
    """A running command."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int, tls: bool) -> None:
        self.process = process
        self.log = log
        self.port = port
        self.tls = client_context() if tls else None

    def get(self) -> str:
        """Return the page, or why there is none."""
        url = f"{'https' if self.tls else 'http'}://localhost:{self.port}/"
        try:
            try:
                with urllib.request.urlopen(url, context=self.tls, timeout=10) as response:
                    return str(response.read().decode())
            except urllib.error.HTTPError as error:
                with error:
                    return f"{error.code} {error.read().decode()}"
        except (OSError, http.client.HTTPException):  # it is just starting again
            return ""

    def connect(self, path: str = "/up") -> ClientConnection:
        scheme = "wss" if self.tls else "ws"
        return connect(f"{scheme}://localhost:{self.port}{path}", ssl=self.tls)

    def ask(self, path: str, text: str) -> str:
        """Return the answer to a message; empty while there is none."""
        with contextlib.suppress(OSError, WebSocketException), self.connect(path) as peer:
            peer.send(text)
            return str(peer.recv(timeout=PATIENCE))
        return ""


@contextlib.contextmanager
def serve(folder: Path, *arguments: str, tls: bool = False) -> Iterator[Served]:
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(start(folder, arguments, tls=tls))
        while "--port" not in arguments and served.process.poll() == 1 and "in use" in served.log.read_text():
            # Between choosing the port and the server's bind() somebody else took it.
            served = stack.enter_context(start(folder, arguments, tls=tls))
        yield served


@contextlib.contextmanager
def start(folder: Path, arguments: Sequence[str], *, tls: bool) -> Iterator[Served]:
    port = free_port()
    log = folder / "log.txt"
    command = ["-m", "ws4py_middleware", "serve", "--port", str(port), "-r", "/up=shop:Upper", *arguments]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", *command],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            served = Served(process, log, port, tls)
            wait_for(lambda: served.get() != "" or process.poll() is not None, PATIENCE, "the server")
            yield served
        finally:
            process.terminate()
            process.wait(PATIENCE)
            print(log.read_text())  # noqa: T201 - for the report of a test that fails


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(WSGI)
    (tmp_path / "ashop.py").write_text(ASGI)
    return tmp_path


def close_code(peer: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as ended:
        peer.recv(timeout=PATIENCE)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code


@pytest.mark.parametrize(("name", "page"), [("shop:app", "hello"), ("ashop:app", "async")])
def test_serve_reloads_and_sockets_are_told_to_come_back(folder: Path, name: str, page: str) -> None:
    with serve(folder, name) as served:
        wait_for(lambda: served.get() == page, PATIENCE, "the page")
        with served.connect() as peer:
            peer.send("hi")
            assert peer.recv() == "HI"
            (folder / "shop.py").write_text(WSGI.replace("upper()", "title()").replace("hello", "bye"))
            assert close_code(peer) == 1012

        wait_for(lambda: served.ask("/up", "hi all") == "Hi All", PATIENCE, "the new handler")
        assert f"ws://127.0.0.1:{served.port}/up is shop:Upper" in served.log.read_text()
        # The process that was started is not the one that serves, and has to tell that one.
        with served.connect() as peer:
            served.process.send_signal(signal.SIGTERM)
            assert close_code(peer) == 1001
        assert served.process.wait(PATIENCE) == 0


def test_serve_answers_with_the_error_until_it_is_mended(folder: Path) -> None:
    with serve(folder, "shop:app") as served:
        (folder / "shop.py").write_text("what = is this\n")
        wait_for(
            lambda: re.match("500 .*SyntaxError", served.get(), re.DOTALL) is not None, PATIENCE, "the error"
        )
        assert "what = is this" in served.log.read_text()
        (folder / "shop.py").write_text(WSGI.replace("hello", "mended"))
        wait_for(lambda: served.get() == "mended", PATIENCE, "the mended page")
        with served.connect() as peer:
            served.process.send_signal(signal.SIGINT)
            assert close_code(peer) == 1001
        assert served.process.wait(PATIENCE) == 0
        assert "Traceback" not in served.log.read_text().rpartition("200 -")[2]


@pytest.mark.parametrize(("name", "page"), [("shop:app", "500 "), ("ashop:app", "")])
def test_serve_watches_the_configuration(folder: Path, name: str, page: str) -> None:
    config = folder / "routes.toml"
    config.write_text('"/low" = "shop:Upper"\n')
    with serve(folder, name, "--config", "routes.toml") as served:
        config.write_text("routes = [\n")
        wait_for(lambda: "routes.toml: it is no TOML" in served.log.read_text(), PATIENCE, "the error")
        # Who answers has looked at what is to be watched. uvicorn's has ended, and the other process looks.
        if page:
            wait_for(lambda: served.get().startswith(page), PATIENCE, "the page with the error")
        assert "etected change" in served.log.read_text()
        config.write_text('"/low" = "shop:Upper"\n')
        wait_for(lambda: served.ask("/low", "hi") == "HI", PATIENCE, "the mended configuration")


@pytest.mark.parametrize(
    ("name", "page"),
    [((), "404 There are only WebSocket routes here."), (("ashop:create_app('app')",), "async")],
)
def test_serve_over_tls_without_reload_ends_with_1001(folder: Path, name: tuple[str, ...], page: str) -> None:
    cert, key = (str(path) for path in certificates()[:2])
    with serve(folder, *name, "--no-reload", "--cert", cert, "--key", key, tls=True) as served:
        assert served.get().startswith(page)
        with served.connect() as peer:
            served.process.send_signal(signal.SIGTERM)
            assert close_code(peer) == 1001
        assert served.process.wait(PATIENCE) == 0
        assert "\x1b" not in served.log.read_text(), "no colour in a file"


@pytest.mark.parametrize(
    "arguments", [("shop:app",), ("ashop:app",), ("ashop:app", "--no-reload")], ids=" ".join
)
def test_serve_says_when_the_address_is_taken(folder: Path, arguments: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serve(folder, *arguments, "--port", port) as second:
            assert second.process.wait(PATIENCE) == 1
            assert "in use" in second.log.read_text()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("shop:ap",), "module 'shop' has no 'ap'; did you mean 'app'?"),
        (("--key", "shop.py"), "--key needs --cert."),
        (("--port", "70000"), "70000 is not in the range"),
    ],
)
def test_serve_says_at_once_what_is_wrong(folder: Path, arguments: tuple[str, ...], text: str) -> None:
    with serve(folder, *arguments) as served:
        assert served.process.wait(PATIENCE) == 2
        assert text in " ".join(served.log.read_text().split())


def test_serve_in_a_terminal_ends_quietly_with_ctrl_c(folder: Path) -> None:
    port = free_port()
    command = [*PROGRAM, "serve", "shop:app", "--port", str(port), "-r", "/up=shop:Upper"]
    with Terminal(command, folder=folder) as terminal:
        terminal.see("/up is shop:Upper")
        with connect(f"ws://localhost:{port}/up") as peer:
            terminal.interrupt()
            assert close_code(peer) == 1001
        assert terminal.status == 0
        assert "Traceback" not in terminal.text
