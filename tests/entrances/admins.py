"""The admin sockets of a server in a test: it is started with them, filled with clients, and asked."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.servers import Server, start, wait_for
from ws4py_middleware.admin.__main__ import main

BOUND = 10.0


class Said(NamedTuple):
    """What the command line has said."""

    status: int
    out: str
    err: str


def run(place: object, *words: str) -> Said:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(["--socket", str(place), *words])
        except SystemExit as error:
            status = int(error.code or 0)
    return Said(status, out.getvalue(), err.getvalue())


def ask(place: object, *words: str) -> Any:
    """Run the command line, which has to succeed, and return its JSON."""
    said = run(place, *words, "--json")
    assert (said.status, said.err) == (0, ""), said
    return json.loads(said.out)


class Admin:
    """A server with admin sockets in a directory."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.server = server
        self.directory = directory

    def sockets(self) -> list[Path]:
        return sorted(self.directory.glob("ws-*.sock"))

    def pids(self) -> set[int]:
        return {int(path.stem.removeprefix("ws-")) for path in self.sockets()}

    def dial(self) -> socket.socket:
        """Connect to the first socket, as no command line does."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(BOUND)
        sock.connect(str(self.sockets()[0]))
        return sock

    def talk(self, data: bytes) -> Any:
        """Send bytes, and return the first answer."""
        with self.dial() as sock:
            sock.sendall(data)
            return read_answer(sock)


def read_answer(sock: socket.socket) -> Any:
    """Read one line, and return what it says; ``None`` at the end of the connection."""
    with sock.makefile("rb") as file:
        line = file.readline()
    return json.loads(line) if line else None


@contextlib.contextmanager
def start_admin(
    kind: str, app: str, directory: Path, *, workers: int = 1, options: Sequence[str] = (), **env: str
) -> Iterator[Admin]:
    """Start a server, and wait until each worker has its socket."""
    words = [*options, *(["--workers", str(workers)] if workers > 1 else [])]
    # pytest's own directories may be too deep for a socket.
    with tempfile.TemporaryDirectory(prefix="admin-") as place:
        Path(place).chmod(0o711)  # for servers that are not root's
        environment = {"WS4PY_MIDDLEWARE_ADMIN": f"{place}/run/ws-{{pid}}.sock", **env}
        with start(kind, app, options=words, env=environment, directory=directory) as server:
            admin = Admin(server, Path(place) / "run")
            wait_for(lambda: len(admin.sockets()) == workers, BOUND, f"{workers} sockets")
            if kind == "cherrypy":
                # It serves before; but who ends it then, ends it by force.
                wait_for(lambda: "Bus STARTED" in server.log, BOUND, "the engine")
            yield admin
        assert "Traceback" not in server.log, server.log
        assert not admin.sockets(), "removed at the end"


@contextlib.contextmanager
def fill(admin: Admin, *, workers: int = 1, least: int = 4) -> Iterator[dict[int, list[ClientConnection]]]:
    """Connect clients until each worker has one; they are in the rooms r0 and r1. By process."""
    with ExitStack() as stack:
        clients: dict[int, list[ClientConnection]] = {}
        count = 0
        while len(clients) < workers or count < least:
            assert count < 200, "all of them came to one worker"
            client = stack.enter_context(
                connect(
                    f"{admin.server.ws_url}/chat/r{count % 2}",
                    subprotocols=[Subprotocol("chat")],
                    proxy=None,
                    close_timeout=1,
                )
            )
            clients.setdefault(int(client.recv(BOUND)), []).append(client)
            count += 1
        yield clients


def wait_closed(client: ClientConnection) -> tuple[int | None, str | None]:
    """Wait for the end of a connection, and return the code and the reason."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            client.recv(BOUND)
    return client.close_code, client.close_reason
