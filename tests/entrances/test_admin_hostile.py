"""The admin socket and who should not be there: other users, half a line, floods, words that mean nothing."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.entrances.admins import BOUND, Admin, ask, fill, read_answer, run, start_admin
from tests.servers import ROOT, wait_for
from ws4py_middleware.admin.protocol import MAX_REQUEST, TIMEOUT, AdminError, LineReader
from ws4py_middleware.admin.server import MAX_CLIENTS, get_peer

APP = "tests.entrances.admin_app:wsgi"


#: For what differs where the application runs in greenlets, and the socket has threads all the same.
BOTH = pytest.mark.parametrize("admin", ["gunicorn-gthread", "gunicorn-gevent"], indirect=True)


@pytest.fixture
def admin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Admin]:
    with start_admin(getattr(request, "param", "gunicorn-gthread"), APP, tmp_path) as admin:
        yield admin


def echo(client: Any) -> float:
    """Echo once, and return how long it took; seconds."""
    began = time.monotonic()
    client.send("hello")
    assert client.recv(BOUND) == "hello"
    return time.monotonic() - began


GARBAGE = [
    (b"\n", "this is not JSON"),
    (b"\x00\xff\xfe\n", "this is not JSON"),
    (b"[" * 4000 + b"\n", "this is not JSON"),
    (b"[]\n", "no object"),
    (b"{}\n", "there is no command"),
    (b'{"command": ["list"]}\n', "there is no command"),
    (b'{"command": "lsit"}\n', "did you mean 'list'?"),
    (b'{"command": "list", "limit": 1e9}\n', "limit is 1000000000.0"),
    (b'{"command": "list", "limit": 501}\n', "from 0 to 500"),
    (b'{"command": "list", "after": {}}\n', "is no id"),
    (b'{"command": "list", "after": "1-2"}\n', "is no id"),
    (b'{"command": "list", "room": 7}\n', "room is 7; it is a text"),
    (b'{"command": "list", "payload": true}\n', "list knows no 'payload'"),
    (b'{"command": "show"}\n', "is no id"),
    (b'{"command": "close"}\n', "which ones?"),
    (b'{"command": "close", "all": 1}\n', "which ones?"),
    (b'{"command": "close", "all": true, "room": "r"}\n', "which ones?"),
    (b'{"command": "close", "all": true, "code": 1005}\n', "1005"),
    (b'{"command": "close", "all": true, "code": true}\n', "code is True"),
    (b'{"command": "close", "all": true, "reason": "%b"}\n' % (b"x" * 124), "at most 123 bytes"),
    (b'{"command": "close", "all": true, "reason": "\\ud800"}\n', "no notation in UTF-8"),
]


@BOTH
def test_what_makes_no_sense_is_told_so_and_harms_nobody(admin: Admin) -> None:
    with admin.dial() as sock, fill(admin, least=1) as clients, sock.makefile("rb") as file:
        for line, problem in GARBAGE:
            sock.sendall(line)
            answer = json.loads(file.readline())
            assert answer["ok"] is False, line
            assert problem in answer["error"], (line, answer)
        sock.sendall(b'{"command": "list"}\n')
        assert json.loads(file.readline())["total"] == 1
        for several in clients.values():
            for client in several:
                assert client.close_code is None


def test_line_that_never_ends_is_cut_off_early(admin: Admin) -> None:
    server = admin.server
    before = server.rss()
    sent = 0
    with admin.dial() as sock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < 2**30:
            sent += sock.send(b"x" * 65536)
    assert sent < 4 * 2**20, "it was not read"
    assert server.rss() - before < 16 * 2**20
    assert admin.talk(b'{"command": "list"}\n')["ok"] is True


@BOTH
def test_half_a_line_holds_up_nobody_and_has_its_time(admin: Admin) -> None:
    server = admin.server
    with connect(f"{server.ws_url}/ws", proxy=None) as client, admin.dial() as silent, admin.dial() as half:
        client.recv(BOUND)
        half.sendall(b'{"command": "li')
        began = time.monotonic()
        assert admin.talk(b'{"command": "list"}\n')["total"] == 1
        assert max(echo(client) for _ in range(20)) < 2
        assert read_answer(half) is None
        assert read_answer(silent) is None
        assert TIMEOUT - 1 < time.monotonic() - began < 2 * TIMEOUT
        assert echo(client) < 2


@BOTH
def test_many_who_connect_get_no_thread_each(admin: Admin) -> None:
    server = admin.server
    with connect(f"{server.ws_url}/ws", proxy=None) as client, contextlib.ExitStack() as stack:
        client.recv(BOUND)
        threads = server.threads()
        descriptors = server.fds()
        first = [stack.enter_context(admin.dial()) for _ in range(MAX_CLIENTS)]
        wait_for(lambda: server.threads() >= threads + MAX_CLIENTS, BOUND, "all of them are served")
        for number in range(40):
            patient = first[number % MAX_CLIENTS]
            patient.sendall(b'{"command": "list"}\n')  # who says nothing has to go
            assert read_answer(patient)["total"] == 1
            with admin.dial() as sock:
                answer = read_answer(sock)
                assert answer == {"ok": False, "error": "there are 8 clients already; try again later"}
        assert server.threads() <= threads + MAX_CLIENTS + 2
        assert echo(client) < 2
        for sock in first:
            sock.close()
        wait_for(lambda: server.fds() <= descriptors, BOUND, "no descriptor is left")
        wait_for(lambda: admin.talk(b'{"command": "list"}\n').get("total") == 1, BOUND, "there is room again")


def test_who_does_not_read_is_left(admin: Admin) -> None:
    server = admin.server
    with fill(admin, least=40):
        descriptors = server.fds()
        with admin.dial() as sock:
            sock.settimeout(0.2)
            with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
                while True:
                    sock.sendall(b'{"command": "list"}\n' * 50)
            assert admin.talk(b'{"command": "list"}\n')["total"] == 40
            wait_for(lambda: server.fds() <= descriptors, 2 * TIMEOUT + 2, "it has had its time")


AS_NOBODY = """
import os, socket, sys
sock = socket.socket(socket.AF_UNIX)
os.setgid(65534)
os.setuid(65534)
sock.connect(sys.argv[1])
try:
    os.write(sock.fileno(), b'{"command": "close", "all": true}\\n')
except BrokenPipeError:
    pass  # it has been refused already
print(sock.makefile().readline(), end="")
"""


def test_other_users_are_refused_also_where_the_file_lets_them_in(admin: Admin) -> None:
    def ask_as_nobody(path: Path) -> subprocess.CompletedProcess[str]:
        become_root = ["sudo", "-n"] if os.geteuid() else []  # who else could become somebody else
        command = [*become_root, sys.executable, "-c", AS_NOBODY, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    with fill(admin, least=2):
        path = admin.sockets()[0]
        for parent in (admin.directory, admin.directory.parent):
            parent.chmod(0o755)
        assert "PermissionError" in ask_as_nobody(path).stderr
        path.chmod(0o666)
        answer = json.loads(ask_as_nobody(path).stdout)
        assert answer == {"ok": False, "error": "this is for the user of the process, and for root"}
        assert ask(admin.directory, "list")["total"] == 2


def test_peer_is_known_by_the_kernels_word() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert get_peer(ours) == os.geteuid()


def test_control_characters_of_peers_do_nothing_in_a_terminal(admin: Admin) -> None:
    path = "/chat/%1b%5b2J%0d%0aroot%e2%80%ae"
    with connect(admin.server.ws_url + path, proxy=None, subprotocols=None) as client:
        client.recv(BOUND)
        said = run(admin.directory, "list")
        assert "\x1b" not in said.out
        assert "\\x1b[2J\\r\\nroot\\u202e" in said.out
        assert len(said.out.splitlines()) == 2
        shown = run(admin.directory, "show", said.out.splitlines()[1].split()[0])
        assert "\x1b" not in shown.out
        assert "\\x1b[2J" in shown.out
        assert "\x1b" not in run(admin.directory, "list", "--json").out


class Dripping:
    """A socket that gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def recv(self, size: int, /) -> bytes:
        byte, self.data = self.data[:1], self.data[1:]
        return byte

    def settimeout(self, seconds: float | None, /) -> None: ...


def test_lines_are_the_same_however_they_come() -> None:
    reader = LineReader(Dripping(b"one\n\ntwo\nrest"), 10)
    assert [reader.read(1) for _ in range(4)] == [b"one", b"", b"two", None]
    with pytest.raises(AdminError, match="at most 10 bytes"):
        LineReader(Dripping(b"0123456789\n"), 10).read(1)
    assert LineReader(Dripping(b"012345678\n"), 10).read(1) == b"012345678"
    assert MAX_REQUEST < 2**16


@pytest.mark.parametrize(
    "words", [["close"], ["close", "--all", "--room", "r"], ["show"], ["list", "--limit", "-1"]]
)
def test_wrong_usage_is_status_2(words: list[str], tmp_path: Path) -> None:
    said = run(tmp_path, *words)
    assert said.status == 2
    assert "usage:" in said.err


def test_nobody_there_is_status_3(tmp_path: Path) -> None:
    said = run(tmp_path, "list")
    assert (said.status, said.out) == (3, "")
    assert "there is no socket" in said.err
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "ws-1.sock"))
    said = run(tmp_path / "ws-{pid}.sock", "list")
    assert said.status == 3
    assert "nobody listens" in said.err


def test_process_that_does_not_answer_is_told_of(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "ws-1.sock"))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "ws4py_middleware.admin", "--socket", tmp_path, "stats"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        listener.settimeout(BOUND)
        accepted, _ = listener.accept()
        with accepted, accepted.makefile("rb") as file:
            assert json.loads(file.readline()) == {"command": "stats"}
        _, err = process.communicate(timeout=BOUND)
    assert process.returncode == 3
    assert "the process has ended" in err
