"""Werkzeug's and Django's development servers, and uvicorn, which begin anew when a file has changed."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promises.attacker import Peer, upgrade
from tests.promises.wire import close_frame
from tests.servers import ROOT, Server, wait_for
from tests.servers.live import free_port

APP = """
import os
from ws4py_middleware import EchoWebSocket, WebSocketMiddleware

def page(environ, start_response):
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

app = WebSocketMiddleware(page, {"/echo": EchoWebSocket})
"""

ASGI_APP = """
import os
from ws4py_middleware import EchoWebSocket, WebSocketASGI

async def page(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

app = WebSocketASGI(page, {"/echo": EchoWebSocket})
"""

WERKZEUG = """
import sys
from werkzeug.serving import run_simple
from site_of_test import app

run_simple("127.0.0.1", int(sys.argv[1]), app, use_reloader=True, reloader_interval=0.1,
           reloader_type="stat", threaded=True)
"""

DJANGO = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.utils.autoreload import StatReloader

StatReloader.SLEEP_TIME = 0.1
settings.configure(DEBUG=True, SECRET_KEY="-", ALLOWED_HOSTS=["*"], USE_TZ=True, ROOT_URLCONF="site_of_test",
                   WSGI_APPLICATION="site_of_test.app")
execute_from_command_line(["manage.py", "runserver", "--skip-checks", f"127.0.0.1:{sys.argv[1]}"])
"""


UVICORN = """
import sys
import uvicorn

if __name__ == "__main__":
    uvicorn.run("site_of_test:app", port=int(sys.argv[1]), reload=True, reload_delay=0.1)
"""

UVICORN_COMMAND = """
import sys
import uvicorn.main

if __name__ == "__main__":
    sys.argv[1:] = ["site_of_test:app", "--port", sys.argv[1], "--reload", "--reload-delay", "0.1"]
    uvicorn.main.main()
"""


@contextlib.contextmanager
def run(script: str, directory: Path) -> Iterator[Server]:
    """Run a development server, and the process that it starts anew."""
    app = ASGI_APP if "uvicorn" in script else APP + "urlpatterns: list = []\n"
    (directory / "site_of_test.py").write_text(app)
    (directory / "serve.py").write_text(textwrap.dedent(script))
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    log, port = directory / "log", free_port()
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "serve.py", str(port)],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server("werkzeug", port, process, log, False)
    try:
        wait_until_it_serves(server)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_it_serves(server: Server, old: bytes = b"") -> bytes:
    """Wait for a process that serves, another one than the old; return its number."""
    seen = [old]

    def serves() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = server.http()
            if answer.status == 200:  # a process that is ending may say all sorts of things
                seen[0] = answer.body
        return seen[0] != old

    wait_for(serves, 20, "the server")
    return seen[0]


def upgrade_when_it_serves(server: Server) -> Peer:
    """Open a WebSocket; what was written twice is reloaded twice."""
    peers: list[Peer] = []

    def opens() -> bool:
        with contextlib.suppress(AssertionError, OSError, EOFError):
            peer = upgrade(server)
            peers.append(peer)
            peer.echo()
            return True
        return False

    wait_for(opens, 20, "a WebSocket")
    for peer in peers[:-1]:
        peer.sock.close()
    return peers[-1]


@pytest.mark.parametrize(
    "script",
    [WERKZEUG, DJANGO, UVICORN, UVICORN_COMMAND],
    ids=["werkzeug", "django", "uvicorn", "uvicorn-command"],
)
def test_changed_file_closes_with_1012_and_ctrl_c_with_1001(script: str, tmp_path: Path) -> None:
    with run(script, tmp_path) as server:
        old = wait_until_it_serves(server)
        with upgrade(server) as peer:
            peer.echo()
            path = tmp_path / "site_of_test.py"
            # Again, if it had not looked at the files before; but not for the next process to see it, too.
            path.write_text(path.read_text() + "changed = 1\n")
            while not select.select([peer.sock], [], [], 3.0)[0]:
                path.write_text(path.read_text() + "changed += 1\n")
            peer.expect_close(1012)
            peer.send(close_frame(1012))
            peer.read_to_end()
        wait_until_it_serves(server, old)
        with upgrade_when_it_serves(server) as peer:
            os.killpg(server.process.pid, signal.SIGINT)
            peer.expect_close(1001)
