"""
The table of servers, each server as a subprocess, with raw sockets as clients.

That many connections are held, closed, and leave nothing behind is in ``tests/matrix``.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import KINDS, TLS_KINDS, Server, start, wait_for

APP = "tests.drivers.handover_app:app"
EVERYWHERE = [(kind, False) for kind in KINDS] + [(kind, True) for kind in TLS_KINDS]


@pytest.fixture(scope="module", params=EVERYWHERE, ids=lambda p: p[0] + ("-tls" if p[1] else ""))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind, tls = request.param
    with start(kind, APP, tls=tls, directory=tmp_path_factory.mktemp(kind)) as running:
        yield running
        assert not re.search("Traceback|Error|Bad file|Exception", running.log), running.log


class Client:
    """One connection; reads exactly what is asked for."""

    def __init__(self, server: Server, path: str = "/ws", early: bytes = b"") -> None:
        self.sock = server.connect()
        self.buffer = b""
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        # One segment, and one TLS record where there is TLS.
        self.sock.sendall(head.encode() + early)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *args: object) -> None:
        self.sock.close()

    def upgrade(self) -> Client:
        head = self.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return self

    def read_until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            data = self.sock.recv(65536)
            assert data, f"closed after {self.buffer!r}"
            self.buffer += data
        head, self.buffer = self.buffer.split(end, 1)
        return head + end

    def read(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self.sock.recv(65536)
            assert data, f"closed after {len(self.buffer)} of {size} bytes"
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def echo(self, data: bytes) -> None:
        self.sock.sendall(data)
        assert self.read(len(data)) == data

    def end(self) -> bytes:
        """End our side; return what still comes before the server's end, which must be a clean one."""
        if isinstance(self.sock, ssl.SSLSocket):
            # Sends our close_notify, and raises unless the server's comes.
            self.sock.unwrap().close()
            return self.buffer
        self.sock.shutdown(socket.SHUT_WR)
        return self.buffer + self.sock.recv(65536)


@pytest.mark.parametrize(
    "early",
    [
        b"three" + b"small" + b"frames",
        # More than any server's read buffer, and a part that comes later.
        bytes(range(256)) * 80 + b"half a fr",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nand after the end of a head",
    ],
    ids=["small", "large", "like-http"],
)
def test_bytes_behind_the_request_are_not_lost(server: Server, early: bytes) -> None:
    if server.kind == "waitress" and b"\r\n\r\n" in early[:8192]:
        # It has made a request of them, and says so.
        with Client(server, early=early) as client:
            assert client.read_until(b"\r\n\r\n").split()[1] == b"501"
            client.read_until(b"wait for the 101")
        return
    with Client(server, early=early).upgrade() as client:
        assert client.read(len(early)) == early
        client.echo(b"ame, and late")
        assert client.end() == b""


def test_bytes_after_a_pause_come_through_and_nothing_else(server: Server) -> None:
    with Client(server).upgrade() as client:
        # The server has finished with "its" connection when it has answered others.
        for _ in range(3):
            assert server.http("/").body == b"hello"
            client.echo(b"late")
        big = b"z" * 300_000
        client.echo(big)
        assert client.end() == b""


@pytest.mark.parametrize("path", ["/ws-wrapped", "/ws-environ", "/ws-body"])
def test_other_middleware_and_any_response_change_nothing(server: Server, path: str) -> None:
    with Client(server, path, early=b"early").upgrade() as client:
        assert client.read(5) == b"early"
        assert server.http("/").body == b"hello"
        client.echo(b"late")
        assert client.end() == b""


def test_connection_taken_twice_is_refused_the_second_time(server: Server) -> None:
    with Client(server, "/ws-twice").upgrade() as client:
        assert b"already; upgrade it once" in client.read_until(b"once")


def test_replaced_input_gets_501_with_what_to_do(server: Server) -> None:
    with Client(server, "/ws-replaced") as client:
        head = client.read_until(b"\r\n\r\n")
        if server.kind.startswith(("wsgiref", "django-runserver", "waitress", "uwsgi")):
            # The socket is found by another way.
            assert head.startswith(b"HTTP/1.1 101 ")
            client.echo(b"works")
        else:
            assert head.split()[1] == b"501"
            expected = b"gunicorn (sync, gthread" if server.kind.startswith("cheroot") else b"outermost"
            client.read_until(expected)
    assert server.http("/").body == b"hello"


def test_environ_of_a_handler_has_nothing_of_the_server(server: Server) -> None:
    with Client(server, "/ws-keys").upgrade() as client:
        keys = client.read_until(b"]").decode()
    assert "'PATH_INFO'" in keys
    assert "'wsgi.input'" in keys
    assert not re.search(
        r"socket|werkzeug\.request|file_wrapper|early_hints|fdevent|client_disc",
        keys.replace("websocket", ""),
    )
    # wsgiref mixes in the environment of the process.
    assert "'PYTHONUNBUFFERED'" not in keys


def test_exception_after_the_handover_does_not_reach_the_client(tmp_path: Path) -> None:
    for kind in ("gunicorn-gthread", "wsgiref", "gevent-pywsgi", "cheroot", "werkzeug"):
        with start(kind, APP, directory=tmp_path) as server, Client(server, "/ws-raise").upgrade() as client:
            assert server.http("/").body == b"hello"
            wait_for(lambda running=server: "ZeroDivisionError" in running.log)  # type: ignore[misc]
            client.echo(b"still here")
            assert client.end() == b""


def test_unknown_server_gets_501_with_its_name() -> None:
    from ws4py_middleware.exc import HandoverError
    from ws4py_middleware.handover import find

    with pytest.raises(
        HandoverError, match=r"waitress does not .* gunicorn \(sync, gthread or gevent\)"
    ) as caught:
        find({"SERVER_SOFTWARE": "waitress"}, None)
    assert caught.value.status == 501
