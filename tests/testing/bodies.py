"""What the chat does, in the words of its visitors; each runs in memory and on a server."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.testing.chat_app import IDLE_TIMEOUT, PING_INTERVAL, PING_TIMEOUT
from ws4py_middleware.testing import HandshakeRefused, WebSocketSession
from ws4py_middleware.testing.client import Client

_numbers = itertools.count()


def new_room() -> str:
    """Return a room where nobody was before: a server that goes on remembers."""
    return f"room-{next(_numbers)}"


def enter(client: Client, room: str, name: str, **options: Any) -> tuple[WebSocketSession, Any]:
    """Come in; return the connection and the welcome."""
    ws = client.connect(f"/chat/{room}?name={name}", **options)
    welcome = ws.receive_json()
    assert welcome["type"] == "welcome"
    return ws, welcome


def say(ws: WebSocketSession, text: str) -> None:
    ws.send_json({"type": "say", "text": text})


def next_of(ws: WebSocketSession, kind: str) -> Any:
    """Return the next message of a kind; others may stand before it."""
    while (message := ws.receive_json())["type"] != kind:
        continue
    return message


def in_rooms(client: Client) -> None:
    """What is said in one room is heard there, by all who are there and by nobody else."""
    blue, green = new_room(), new_room()
    ann, _ = enter(client, blue, "Ann")
    bob, welcome = enter(client, blue, "Bob")
    eve, _ = enter(client, green, "Eve")
    assert [one["name"] for one in welcome["people"]] == ["Ann", "Bob"]
    assert next_of(ann, "joined")["person"]["name"] == "Bob"
    say(ann, "hello ☃")
    for ws in (ann, bob):
        said = next_of(ws, "said")
        assert (said["from"]["name"], said["text"]) == ("Ann", "hello ☃")
    bob.send_json({"type": "typing", "on": True})
    assert next_of(ann, "typing")["on"] is True
    eve.send_json({"type": "name", "name": "Ann"})
    assert next_of(eve, "renamed")["person"]["name"] == "Ann"
    assert len(eve.received) == 2  # the welcome, and that
    bob.close()
    assert bob.close_code == 1000
    assert next_of(ann, "left")["id"] == welcome["you"]["id"]
    late, _ = enter(client, blue, "Dan")
    assert next_of(late, "said")["text"] == "hello ☃"  # the room remembers


def with_rejections(client: Client) -> None:
    """Who may not come in gets an answer that says why; so does who sends what is not expected."""
    with pytest.raises(HandshakeRefused, match="403 Forbidden: pages of the origin") as refused:
        client.connect("/chat/lobby", origin="http://evil.example")
    assert refused.value.status == 403
    assert "evil.example" in refused.value.text
    with pytest.raises(HandshakeRefused, match="404 Not Found"):
        client.connect("/nowhere")
    page = client.get("/chat/lobby")
    assert page.status == 200
    assert "<html" in page.text
    assert client.get("/").header("Location") == "/chat/lobby"
    with enter(client, new_room(), "Ann", subprotocols=["chat.v7", "ws4py.replay.v1"])[0] as ws:
        assert ws.subprotocol == "ws4py.replay.v1"
    ws, _ = enter(client, new_room(), "Ann")
    for wrong in ("no JSON", '{"type": "sing"}', b"\x00"):
        ws.send(wrong)
        assert next_of(ws, "error")["text"]
    say(ws, "x" * 2001)
    assert "at most 2000" in next_of(ws, "error")["text"]
    ws.send_raw(b"\xff\xff")
    assert ws.expect_close()[0] == 1002


def with_timeouts(client: Client) -> None:
    """Who says nothing is closed with 1000, who does not answer a ping with 1011; nobody else is."""
    room = new_room()
    idle, _ = enter(client, room, "Ann")
    client.clock.advance(PING_INTERVAL * 1.5)
    assert idle.pings
    client.clock.advance(IDLE_TIMEOUT)
    idle.expect_close(1000, f"no message within {IDLE_TIMEOUT:g} s")
    deaf, _ = enter(client, room, "Bob")
    deaf.stop_reading()
    client.clock.advance(PING_INTERVAL + PING_TIMEOUT + 0.1)
    deaf.resume_reading()
    deaf.expect_close(1011, f"no pong within {PING_TIMEOUT:g} s")


def with_faults(client: Client) -> None:
    """However somebody goes, the others are told."""
    room = new_room()
    ann, _ = enter(client, room, "Ann")
    leave: dict[str, Callable[[WebSocketSession], None]] = {
        "Bob": WebSocketSession.cut,
        "Eve": WebSocketSession.reset,
        "Dan": WebSocketSession.close,
    }
    for name, go in leave.items():
        ws, welcome = enter(client, room, name)
        go(ws)
        assert next_of(ann, "left")["id"] == welcome["you"]["id"]
        say(ann, f"{name} has gone")  # or else she is idle
    ws, welcome = enter(client, room, "Half")
    ws.send_half("never told")
    for _ in range(5):
        client.clock.advance(IDLE_TIMEOUT / 4)
        say(ann, "still here")
    assert next_of(ann, "left")["id"] == welcome["you"]["id"]
    assert ann.ping(b"x") >= 0


def with_a_slow_peer(client: Client) -> None:
    """One who does not read is dropped, and the others hear everything."""
    room = new_room()
    fast, _ = enter(client, room, "Ann")
    slow, _ = enter(client, room, "Bob")
    slow.stop_reading()
    heard = 0
    kinds: list[str] = []
    while "left" not in kinds:
        say(fast, "x" * 2000)
        kinds += [(message := fast.receive_json())["type"]]
        heard += message["type"] == "said"
        if heard % 20 == 0:
            # One who catches up with a history is not given more than he takes: it is his time that is up.
            client.clock.advance(0.02)
        assert heard < 20_000
    assert heard > 20
    assert fast.ping() >= 0
    slow.resume_reading()
    assert slow.expect_close()[0] in (1006, 1013)
    assert len(slow.received) < heard
