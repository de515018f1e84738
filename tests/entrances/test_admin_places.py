"""Where the admin socket is: whose it is, from when on, and what it says of odd things."""

from __future__ import annotations

import _socket
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.entrances.admins import BOUND, ask, read_answer, start_admin
from ws4py_middleware.admin.server import Endpoint, get_peer
from ws4py_middleware.hub import Hub, get_hub, set_hub

#: Whom workers become: root can be anybody, and everybody else is who they are.
USER, GROUP = (os.geteuid(), os.getegid()) if os.geteuid() else (65534, 65534)


@pytest.fixture
def place() -> Iterator[Path]:
    # pytest's own directories may be too deep for a socket.
    with tempfile.TemporaryDirectory(prefix="admin-") as place:
        yield Path(place)


@pytest.fixture
def endpoint(place: Path) -> Iterator[Endpoint]:
    endpoint = Endpoint(str(place / "ws-{pid}.sock"))
    endpoint.ensure()
    yield endpoint
    endpoint.stop()


class OddBackplane:
    """A backplane whose figures JSON has no notation for."""

    def echoes(self, room: str) -> bool:
        return False

    def start(self, deliver: Callable[..., object], vanished: Callable[..., object]) -> None: ...
    def close(self) -> None: ...
    def publish(self, room: str, payload: bytes, is_text: bool, exclude: tuple[str, ...] = ()) -> None: ...
    def subscribe(self, room: str) -> None: ...
    def unsubscribe(self, room: str) -> None: ...
    def enter(self, room: str, member_id: str, info: Mapping[str, Any]) -> None: ...
    def exit(self, room: str, member_id: str) -> None: ...

    def members(self, room: str) -> Mapping[str, Mapping[str, Any]]:
        return {}

    def stats(self) -> dict[Any, Any]:
        return {("a", "tuple"): {1, 2}}


def test_what_json_has_no_notation_for_is_an_answer_all_the_same(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    former = get_hub()
    set_hub(Hub(OddBackplane()))
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(BOUND)
            sock.connect(endpoint.path)
            sock.sendall(b'{"command": "stats"}\n')
            answer = read_answer(sock)
            sock.sendall(b'{"command": "list"}\n')
            assert read_answer(sock)["ok"] is True, "and the conversation goes on"
    finally:
        set_hub(former)
    assert answer == {"ok": False, "error": "an internal error; the log of the process has it"}
    assert "a fault in a command of the admin socket" in caplog.text


def test_mode_is_there_before_the_name(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write to the directory cannot put anything else below a later chmod()."""
    victim = place / "victim"
    victim.write_text("")
    victim.chmod(0o644)
    modes: list[int] = []

    class Swapped(_socket.socket):
        def bind(self, path: Any, /) -> None:
            super().bind(path)
            modes.append(stat.S_IMODE(os.stat(path).st_mode))
            os.unlink(path)
            os.symlink(victim, path)

    monkeypatch.setattr(_socket, "socket", Swapped)
    endpoint = Endpoint(str(place / "ws.sock"))
    endpoint.ensure()
    endpoint.stop()
    assert modes == [0o600]
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644
    assert (place / "ws.sock").is_symlink(), "it is not ours to remove"


def test_who_asks_is_answered_while_another_thread_imports_gevent(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = types.ModuleType("gevent.monkey")  # as far as it has come
    monkeypatch.setitem(sys.modules, "gevent.monkey", half)
    endpoint = Endpoint(str(place / "ws.sock"))
    endpoint.ensure()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(BOUND)
        sock.connect(str(place / "ws.sock"))
        sock.sendall(b'{"command": "list"}\n')
        assert read_answer(sock)["ok"]
    endpoint.stop()


def test_numbers_of_users_have_no_sign() -> None:
    class Far:
        def getsockopt(self, *_: object) -> bytes:
            return struct.pack("iII", 1, 2**32 - 2, 2**32 - 2)

    assert get_peer(Far()) == 2**32 - 2


ASK_AS = """
import os, sys
from ws4py_middleware.admin.__main__ import main
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[3]))
sys.exit(main(["--socket", sys.argv[1], "--json", "list"]))
"""


def test_worker_that_gives_up_root_has_a_socket_of_its_own(tmp_path: Path) -> None:
    options = ["--preload", "--user", str(USER), "--group", str(GROUP)]
    with start_admin(
        "gunicorn-gthread", "tests.entrances.admin_app:wsgi", tmp_path, options=options
    ) as admin:
        path = admin.sockets()[0]
        assert (path.stat().st_uid, path.stat().st_gid) == (USER, GROUP)
        assert admin.directory.stat().st_uid == USER, "it has been made for it"
        command = [sys.executable, "-c", ASK_AS, str(admin.directory), str(GROUP), str(USER)]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert asked.returncode == 0, asked.stderr
        assert json.loads(asked.stdout)["total"] == 0
        assert ask(admin.directory, "list")["total"] == 0, "and whoever has started it may ask as well"
