"""The members of a room that is measured: they see what is lost, comes twice or out of order."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.apps.rooms import make_message
from benchmarks.load import build
from tests.core.wire import CLOSE, TEXT, build_head
from tests.promises.wire import ACCEPT

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"


def text(payload: str) -> bytes:
    return build_head(TEXT, len(payload)) + payload.encode()


class Stage:
    """One member, and the server that it is connected to."""

    def __init__(self, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            command = [str(build("members")), "-p", str(listener.getsockname()[1]), "-n", "1", *options]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            listener.settimeout(10)
            self.server, _ = listener.accept()
        self.server.settimeout(10)
        self.server.recv(4096)
        self.server.sendall(ANSWER)

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def expect(self, first: int, count: int, wire: bytes) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"expect {first} {count} 0.2\n")
        assert self.hear() == {"event": "expecting"}
        self.server.sendall(wire)
        return self.hear()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.server.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    assert stage.hear()["in"] == 1
    yield stage
    stage.end()


def test_messages_in_order_are_received(stage: Stage) -> None:
    found = stage.expect(0, 3, b"".join(text(make_message(number)) for number in range(3)))
    assert (found["received"], found["expected"]) == (3, 3)
    assert found["repeated"] == found["disordered"] == found["late"] == found["dead"] == 0
    assert 0 < found["p50_us"] <= found["p99_us"] <= found["max_us"] < 10_000_000


def test_repeated_disordered_and_lost_messages_are_seen(stage: Stage) -> None:
    wire = b"".join(text(make_message(number)) for number in (0, 2, 1, 2))
    found = stage.expect(0, 4, wire)
    assert (found["received"], found["repeated"], found["disordered"]) == (3, 1, 1)
    found = stage.expect(4, 1, text(make_message(3)) + text(make_message(4)))
    assert (found["received"], found["late"]) == (1, 1)


def test_message_that_is_cut_anywhere_is_one(stage: Stage) -> None:
    wire = text(make_message(0))
    stage.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for place in range(len(wire) - 1):
        stage.server.sendall(wire[place : place + 1])
    assert stage.expect(0, 1, wire[-1:])["received"] == 1


@pytest.mark.parametrize(
    ("wire", "trouble"),
    [
        (text("something else"), "no message of the room: something else"),
        (text(make_message(0)[:-1] + "x"), "no message of the room"),
        (b"\x82\x00", "a frame of another kind"),
        (build_head(CLOSE, 0), "the server has sent Close"),
    ],
    ids=["text", "changed", "binary", "close"],  # the wire has the time in it, another for each worker
)
def test_what_is_no_message_of_the_room_ends_a_member(stage: Stage, wire: bytes, trouble: str) -> None:
    found = stage.expect(0, 1, wire)
    assert found["dead"] == 1
    assert found["trouble"].startswith(trouble)


def test_socketio_is_entered_and_its_pings_are_answered() -> None:
    stage = Stage("-x", '42["message","', "-y", '"]')
    stage.server.sendall(text('0{"sid":"x","upgrades":[]}'))
    assert stage.server.recv(100)[-2:] == b"40"
    stage.server.sendall(text('40{"sid":"x"}') + text("2"))
    assert stage.hear()["in"] == 1
    assert stage.server.recv(100)[-1:] == b"3"
    assert stage.expect(0, 1, text(f'42["message","{make_message(0)}"]'))["received"] == 1
    stage.end()
