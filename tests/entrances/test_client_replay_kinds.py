"""Clients of each kind that miss nothing, before a server that says what a test wants it to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients import KINDS, TABLE, Session, make_client, open_client
from tests.drivers.peer import wait_until
from tests.entrances.phoenix import SOON, no_threads_stay, phoenix
from tests.entrances.replays import PROTOCOL, agree, replay, resumed, said
from tests.entrances.scripted import Visit, no_leaks, text
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.manager import WebSocketManager

each_kind = pytest.mark.parametrize("kind", KINDS)

OPTIONS: dict[str, Any] = {"protocols": [PROTOCOL], "reconnect": SOON}


@pytest.fixture(autouse=True)
def nothing_is_left_or_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with no_leaks(), no_threads_stay():
        yield
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def take(session: Session, count: int) -> list[Any]:
    messages = [session.receive() for _ in range(count)]
    return [(message.room, message.id, message.data) for message in messages]


@each_kind
def test_nothing_is_missed_and_nothing_comes_twice(kind: str) -> None:
    one, two, three = (said(room="a", id=f"1-{n}", data=f"{n}") for n in (1, 2, 3))
    with phoenix(
        replay(one, two, text("direct"), said(room="b", key="k", data="early"), end=1012),
        replay(two, said(room="b", id="9", key="k", data="early"), three, end=1001),
        replay(said(room="a", gap=True), said(room="a", id="2-1", base64="AAE="), said(room="b", left=True)),
    ) as bird:
        with make_client(kind, bird.url, **OPTIONS) as session:
            missed: list[str] = []
            session.client.missed = missed.append
            session.connect()
            assert take(session, 4) == [
                ("a", "1-1", b"1"),
                ("a", "1-2", b"2"),
                (None, None, b"direct"),
                ("b", None, b"early"),
            ]
            assert take(session, 2) == [("a", "1-3", b"3"), ("a", "2-1", b"\0\1")]
            session.send("\x1eecho")
            assert take(session, 1) == [(None, None, b"\x1eecho")]
            assert missed == ["a"]
            assert session.client.positions == {"a": "2-1"}
        assert resumed(bird.visits) == [{}, {"a": "1-2"}, {"a": "1-3", "b": "9"}]


@each_kind
def test_it_asks_before_it_says_what_has_waited(kind: str) -> None:
    order: list[list[bytes]] = []

    def listen(visit: Visit) -> None:
        agree(visit)
        order.append([visit.read_frame()[1] for _ in range(3)])
        visit.send(text("heard"))
        visit.echo()

    with phoenix(replay(said(room="a", id="1", data="x"))) as bird:
        with make_client(kind, bird.url, **OPTIONS) as session:
            opened = session.client.opened

            def say_hello() -> None:
                opened()
                session.client.send("hello")

            session.client.opened = say_hello
            session.connect()
            assert take(session, 2) == [("a", "1", b"x"), (None, None, b"hello")]
            bird.stop()
            with pytest.raises(TimeoutError):
                session.receive(0.05)
            session.send("\x1equeued")
            bird.start(listen)
            assert take(session, 1) == [(None, None, b"heard")]
        assert order == [[b'\x1e{"resume":{"a":"1"}}', b"hello", b"\x1e\x1equeued"]]


@each_kind
def test_it_goes_on_where_the_program_was_and_asks_again_for_what_nobody_took(kind: str) -> None:
    frames = [said(room="a", id=f"1-{n}", data=f"{n}") for n in range(1, 6)]
    with phoenix(replay(*frames), replay(*frames[1:])) as bird:
        with open_client(kind, bird.url, protocols=[PROTOCOL], positions={"a": "1-0"}) as session:
            assert take(session, 2) == [("a", "1-1", b"1"), ("a", "1-2", b"2")]
            positions = session.client.positions
            assert positions == {"a": "1-2"}
        with open_client(kind, bird.url, protocols=[PROTOCOL], positions=positions) as session:
            assert [room_id for _, room_id, _ in take(session, 3)] == ["1-3", "1-4", "1-5"]
        assert resumed(bird.visits) == [{"a": "1-0"}, {"a": "1-2"}]


@each_kind
def test_who_connects_again_by_hand_gets_what_was_not_taken(kind: str) -> None:
    frames = [said(room="a", id=f"1-{n}", data=f"{n}") for n in range(1, 4)]
    with phoenix(replay(*frames), replay(*frames)) as bird:
        with make_client(kind, bird.url, protocols=[PROTOCOL]) as session:
            session.connect()
            assert take(session, 1) == [("a", "1-1", b"1")]
            session.close()
            while not any(isinstance(told, tuple) for told in session.told):
                if kind == "base":
                    session._call(session.client.run)
                time.sleep(0.001)
            session.connect()
            assert take(session, 2) == [("a", "1-2", b"2"), ("a", "1-3", b"3")]
            assert resumed(bird.visits)[1] == {"a": "1-1"}


@each_kind
@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (text("\x1e{"), 1007),
        (text("\x1e[]"), 1002),
        (said(room="a", base64="?"), 1007),
        (said(room="a", id="1" * 100_000, data="x"), 1002),
        (said(room=["a"]), 1002),
    ],
)
def test_a_server_that_breaks_the_protocol_is_left_and_not_found_again(
    kind: str, frame: bytes, code: int
) -> None:
    server_heard: list[bytes] = []

    def talk(visit: Visit) -> None:
        agree(visit)
        visit.read_frame()
        visit.send(said(room="a", id="1", data="good") + frame + said(room="a", id="2", data="behind"))
        server_heard.append(visit.answer_close())

    with phoenix(talk) as bird:
        with make_client(kind, bird.url, **OPTIONS) as session:
            session.connect()
            assert take(session, 1) == [("a", "1", b"good")]
            assert session.receive() is None
            assert session.code == code
            assert "ws4py.replay.v1" in str(session.reason)
            assert session.client.positions == {"a": "1"}
            with pytest.raises(ConnectionClosed):
                session.send("x")
        assert len(bird.visits) == 1
        assert int.from_bytes(server_heard[0][:2], "big") == code


@each_kind
def test_unknown_keys_and_messages_are_left_alone(kind: str) -> None:
    odd = [said(), said(weather="fine"), said(room="a", id="1", data="x", colour=[1], reply_to=None)]
    with phoenix(replay(*odd)) as bird, open_client(kind, bird.url, **OPTIONS) as session:
        assert take(session, 1) == [("a", "1", b"x")]


@each_kind
def test_another_subprotocol_has_no_rooms(kind: str) -> None:
    def chat(visit: Visit) -> None:
        visit.accept(said(room="a", id="1", data="x"), "Sec-WebSocket-Protocol: chat")
        visit.echo()

    with phoenix(chat) as bird:
        with open_client(kind, bird.url, protocols=[PROTOCOL, "chat"], positions={"a": "7"}) as session:
            assert take(session, 1) == [(None, None, b'\x1e{"room": "a", "id": "1", "data": "x"}')]
            session.send("\x1ex")
            assert take(session, 1) == [(None, None, b"\x1ex")]
            assert session.client.positions == {"a": "7"}


@each_kind
def test_hooks_are_called_one_after_the_other_and_know_where_they_are(kind: str) -> None:
    frames = [said(room="a", gap=True)] + [said(room="a", id=f"1-{n}", data=f"{n}") for n in (1, 2)]
    told: list[Any] = []

    class Listening(TABLE[kind].client):  # type: ignore[misc]
        def received_message(self, message: Any) -> None:
            told.append((message.room, str(message), dict(self.positions)))
            if str(message) == "2":
                self.close()

        def missed(self, room: str) -> None:
            told.append(("missed", room))

    with phoenix(replay(*frames)) as bird, TABLE[kind].home() as call:
        client = call(Listening, bird.url, **OPTIONS)
        call(client.connect)
        call(client.run)
    assert told == [("missed", "a"), ("a", "1", {"a": "1-1"}), ("a", "2", {"a": "1-2"})]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if TABLE[kind].client._is_async])
def test_hooks_that_are_awaited_keep_the_order(kind: str) -> None:
    told: list[str] = []

    class Slow(TABLE[kind].client):  # type: ignore[misc]
        async def received_message(self, message: Any) -> None:
            await asyncio.sleep(0.01)
            told.append(str(message))
            if len(told) == 4:
                self.close()

        async def missed(self, room: str) -> None:
            await asyncio.sleep(0.02)
            told.append("missed")

    frames = [text("1"), said(room="a", gap=True), said(room="a", id="1", data="2"), text("3")]
    with phoenix(replay(*frames)) as bird, TABLE[kind].home() as call:
        client = call(Slow, bird.url, **OPTIONS)
        call(client.connect)
        call(client.run)
    assert told == ["1", "missed", "2", "3"]


def test_clients_in_a_manager() -> None:
    with contextlib.ExitStack() as stack:
        frames = [said(room="a", id=f"1-{n}", data=f"{n}") for n in (1, 2, 3)]
        bird = stack.enter_context(phoenix(replay(*frames[:2], end=1012), replay(*frames[1:])))
        manager = WebSocketManager()
        manager.start()
        stack.callback(manager.stop)
        told: list[str] = []

        class Managed(WebSocketBaseClient):
            def handshake_ok(self) -> None:
                manager.add(self)

            def received_message(self, message: Any) -> None:
                told.append(str(message))

        client = Managed(bird.url, protocols=[PROTOCOL], reconnect=SOON)
        client.connect()
        wait_until(lambda: len(told) == 3)
        assert client in manager
        manager.broadcast("\x1eto all")
        wait_until(lambda: len(told) == 4)
        client.close()
        client.run()
    assert told == ["1", "2", "3", "\x1eto all"]
    assert resumed(bird.visits) == [{}, {"a": "1-2"}]
