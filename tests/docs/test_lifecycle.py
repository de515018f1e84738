"""docs/topics/lifecycle.md: which hooks are called at which end, with its own diary."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.promises.attacker import Peer
from tests.promises.wire import CLOSE, PONG, TEXT, close_frame, frame, request
from tests.servers import ROOT, Server, start, wait_for
from ws4py_middleware import Policy
from ws4py_middleware.core.types import CloseCode

PAGE = (ROOT / "docs" / "topics" / "lifecycle.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start("gunicorn-sync", "docs.code.lifecycle.app:app") as running:
        yield running


def connect(server: Server) -> Peer:
    peer = Peer(server.connect())
    peer.send(request("/diary"))
    assert peer.read_head() == 101
    return peer


def wait_for_end(server: Server) -> list[str]:
    """Wait for the end of a connection; return what its handler has written."""
    lines: list[str] = []

    def has_ended() -> bool:
        lines.extend(json.loads(server.http("/said").body))
        return any(line.startswith("closed ") for line in lines)

    wait_for(has_ended, what="closed()")
    return lines


def read_diary(server: Server) -> list[str]:
    """Do the same for one whose beginning was not read yet; without that."""
    first, *lines = wait_for_end(server)
    assert first == "opened /diary"
    return lines


def ask(peer: Peer, text: str) -> None:
    peer.send(frame(TEXT, text.encode()))


def test_client_closes(server: Server) -> None:
    with connect(server) as peer:
        ask(peer, "ping me")
        peer.send(frame(PONG, peer.read_frame().payload))
        peer.send(close_frame(1000, b"done"))
        peer.expect_close(1000)
        assert peer.read_to_end() == b""
    assert read_diary(server) == ["received_message ping me", "ponged are you there?", "closed 1000 done"]


def test_server_closes_and_closed_comes_with_the_answer(server: Server) -> None:
    with connect(server) as peer:
        ask(peer, "bye")
        peer.expect_close(4001)
        # What was on its way is still heard.
        ask(peer, "one more thing")
        peer.send(close_frame(4001))
        assert peer.read_to_end() == b""
    expected = ["received_message bye", "close() has returned", "received_message one more thing"]
    assert read_diary(server) == [*expected, "closed 4001 "]


def test_server_closes_and_nobody_answers(server: Server) -> None:
    with connect(server) as peer:
        ask(peer, "bye")
        peer.expect_close(4001)
        lines = read_diary(server)
    assert lines[-1].startswith("closed 1006 the closing handshake did not end within 1 s")


def test_handler_raises(server: Server) -> None:
    with connect(server) as peer:
        ask(peer, "oops")
        peer.expect_close(1011)
    assert read_diary(server) == ["received_message oops", "closed 1011 internal error"]
    assert "this handler has a bug" in server.log


def test_peer_breaks_the_protocol(server: Server) -> None:
    with connect(server) as peer:
        peer.send(frame(TEXT, b"\xff"))
        assert peer.expect_close(1007).opcode == CLOSE
    (last,) = read_diary(server)
    assert last.startswith("closed 1007 ")


def test_connection_is_lost(server: Server) -> None:
    with connect(server) as peer:
        ask(peer, "hello")
        wait_for(lambda: b"hello" in server.http("/said").body, what="the message")
        peer.reset()
    (last,) = wait_for_end(server)
    assert re.fullmatch("closed 1006 .*", last)


def test_every_registered_code_is_in_the_table() -> None:
    table = PAGE.split("## Close codes", 1)[1]
    assert {int(code) for code in re.findall(r"^\| (1\d{3}) ", table, re.MULTILINE)} == {*CloseCode}


def test_clocks_have_their_defaults() -> None:
    table = PAGE.split("## The clocks", 1)[1].split("## ", 1)[0]
    told: dict[str, str] = {}
    for names, values in re.findall(r"^\| (`.+?`) \| (.+?) \|", table, re.MULTILINE):
        told |= dict(zip(re.findall(r"`(\w+)`", names), values.split(", "), strict=True))
    policy = Policy()
    assert len(told) == 7
    for name, value in told.items():
        assert getattr(policy, name) == (None if value == "off" else float(value.removesuffix(" s"))), name
