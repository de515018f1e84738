"""client.replaying: what is made of a server's messages, and what is asked for; no socket anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.wire import BINARY, TEXT, build_frame
from tests.entrances.replays import MARK, said
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.client.replaying import (
    SUBPROTOCOL,
    Arrived,
    Missed,
    Replay,
    ReplayingConnection,
    adopt,
)
from ws4py_middleware.core.connection import Connection
from ws4py_middleware.core.events import CloseReceived, HookDue, MessageReceived
from ws4py_middleware.core.masking import apply_mask
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.types import Side, State
from ws4py_middleware.hub.replay import MAX_RESUME, MAX_ROOMS
from ws4py_middleware.messaging import TextMessage


class Client:
    """Hooks that write down what they are told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def received_message(self, message: Any) -> None:
        self.heard.append((message.room, message.id, message.data))

    def missed(self, room: str) -> None:
        self.heard.append(("missed", room))


def connect(replay: Replay | None = None) -> ReplayingConnection:
    conn = Connection(Side.CLIENT, Policy(), now=1.0)
    return ReplayingConnection(conn, (), Replay() if replay is None else replay)


def hear(conn: Connection, *frames: bytes) -> list[Any]:
    """Return what a client is told."""
    client = Client()
    conn.receive_data(b"".join(frames), 2.0)
    while (event := conn.next_event()) is not None:
        if isinstance(event, HookDue):
            event.tell(client)
        elif isinstance(event, MessageReceived):
            client.heard.append(event.data)
    return client.heard


def sent(conn: Connection) -> list[bytes]:
    """Return the payloads of all that was sent."""
    payloads = []
    data = bytes(conn.data_to_send())
    conn.data_sent(len(data), 2.0)
    while data:
        size = data[1] & 0x7F
        assert size < 126
        payloads.append(apply_mask(data[6 : 6 + size], data[2:6]))
        data = data[6 + size :]
    return payloads


def ask(replay: Replay) -> dict[str, str]:
    message, _ = replay.build_resume()
    assert message.startswith(b"\x1e{")
    found: dict[str, str] = json.loads(message[1:])["resume"]
    return found


# --- what comes ----------------------------------------------------------------------------------------


def test_messages_come_with_their_room_and_id_and_others_as_they_are() -> None:
    conn = connect()
    assert hear(
        conn,
        said(room="a", id="7-1", data="é"),
        said(room="b", data="no history"),
        said(room="a", id="7-2", base64="AP8="),
        build_frame(TEXT, b"direct"),
        build_frame(BINARY, b"\x1edirect"),
        build_frame(TEXT, b"\x1e\x1edirect"),
        said(room="a", id="7-3", data=""),
    ) == [
        ("a", "7-1", "é".encode()),
        ("b", None, b"no history"),
        ("a", "7-2", b"\x00\xff"),
        b"direct",
        b"\x1edirect",
        b"\x1edirect",
        ("a", "7-3", b""),
    ]


def test_a_message_tells_its_type_and_a_direct_one_is_of_no_room() -> None:
    conn = connect()
    conn.receive_data(said(room="a", id="1", data="x") + said(room="a", base64="eA=="), 2.0)
    text, binary = conn.next_event(), conn.next_event()
    assert isinstance(text, Arrived)
    assert isinstance(binary, Arrived)
    assert (text.message.is_text, str(text.message), text.message.completed) == (True, "x", True)
    assert (binary.message.is_binary, binary.message.data, binary.message.id) == (True, b"x", None)
    direct = TextMessage("x")
    assert (direct.room, direct.id) == (None, None)


def test_what_was_had_is_not_had_again() -> None:
    replay = Replay({"a": "5-0"})
    conn = connect(replay)
    one, two = said(room="a", id="5-1", data="1"), said(room="a", id="5-2", data="2")
    assert hear(conn, said(room="a", id="5-0", data="0"), one, two, one, two, two) == [
        ("a", "5-1", b"1"),
        ("a", "5-2", b"2"),
    ]
    assert replay.positions == {"a": "5-2"}
    assert hear(connect(replay), one, two) == []
    assert hear(connect(replay), said(room="b", id="5-1", data="1")) == [("b", "5-1", b"1")]


def test_a_message_that_came_under_a_key_is_dropped_when_it_has_an_id() -> None:
    replay = Replay({"a": "5-0"})
    early = said(room="a", key="k", data="x")
    assert hear(connect(replay), early, early, said(room="b", key="k", data="y")) == [
        ("a", None, b"x"),
        ("b", None, b"y"),
    ]
    assert replay.positions == {"a": "5-0"}
    assert hear(connect(replay), said(room="a", id="5-1", key="k", data="x")) == []
    assert replay.positions == {"a": "5-1"}
    both = said(room="a", id="5-2", key="l", data="z")
    assert hear(connect(replay), both, both, early) == [("a", "5-2", b"z")]
    again = said(room="a", id="5-3", key="l", data="z")  # only a key without an id says something
    assert hear(connect(replay), again) == [("a", "5-3", b"z")]


def test_places_gaps_and_leaving() -> None:
    replay = Replay()
    conn = connect(replay)
    assert hear(conn, said(room="a", id="3-9"), said(room="b", id="9")) == []
    assert replay.positions == {"a": "3-9", "b": "9"}
    assert hear(conn, said(room="a", gap=True), said(room="a", id="4-1", data="x")) == [
        ("missed", "a"),
        ("a", "4-1", b"x"),
    ]
    assert (
        hear(conn, said(room="b", left=True), said(room="b", left=True), said(room="c", gap=False, id="1"))
        == []
    )
    assert replay.positions == ask(replay) == {"a": "4-1", "c": "1"}


def test_what_a_later_version_says_is_left_alone() -> None:
    conn = connect()
    assert hear(
        conn,
        said(hello=1),
        said(),
        said(data="x"),
        said(room="a", news=[1]),
        said(room="a", id="1", data="x", more={"a": [1]}),
        said(news=True, room="b", id="2"),
    ) == [("a", "1", b"x")]
    assert conn.state is State.OPEN


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("", 1007),
        ("{", 1007),
        ("[" * 100_000, 1007),
        ("1" * 10_000, 1007),
        ("\0{\0}", 1007),
        ("[]", 1002),
        ("null", 1002),
        ('"room"', 1002),
        ('{"room": "", "data": "x"}', 1002),
        ('{"room": 1, "data": "x"}', 1002),
        ('{"room": null, "data": "x"}', 1002),
        ('{"room": "\\ud800", "data": "x"}', 1002),
        ('{"room": "' + "x" * 201 + '", "data": "x"}', 1002),
        ('{"room": "a", "data": 1}', 1002),
        ('{"room": "a", "data": "x", "base64": ""}', 1002),
        ('{"room": "a", "base64": []}', 1002),
        ('{"room": "a", "base64": "A"}', 1007),
        ('{"room": "a", "base64": "*A=="}', 1007),
        ('{"room": "a", "base64": "é"}', 1007),
        ('{"room": "a", "data": "\\udfff"}', 1007),
        ('{"room": "a", "id": 1, "data": "x"}', 1002),
        ('{"room": "a", "id": "", "data": "x"}', 1002),
        ('{"room": "a", "id": "a b", "data": "x"}', 1002),
        ('{"room": "a", "id": "1\\n", "data": "x"}', 1002),
        ('{"room": "a", "id": "' + "1" * 65 + '"}', 1002),
        ('{"room": "a", "id": "' + "1" * 1_000_000 + '"}', 1002),
        ('{"room": "a", "key": {}, "data": "x"}', 1002),
        ('{"room": "a", "key": "' + "k" * 201 + '", "data": "x"}', 1002),
        ('{"room": "a", "gap": 1}', 1002),
        ('{"room": "a", "left": "yes"}', 1002),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_not_the_protocol_fails_the_connection(payload: str, code: int) -> None:
    replay = Replay({"a": "1"})
    conn = connect(replay)
    assert (
        hear(conn, build_frame(TEXT, (MARK + payload).encode()), said(room="a", id="2", data="behind")) == []
    )
    assert conn.state is State.CLOSED
    assert (conn.close_code, "ws4py.replay.v1" in conn.close_reason) == (code, True)
    assert replay.positions == {"a": "1"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["room", "id", "key", "data", "base64", "gap", "left", "more"])


@given(
    st.lists(
        st.dictionaries(names, json_values | st.sampled_from(["a", "1-1", True]), max_size=8), max_size=5
    )
)
def test_whatever_a_server_says_nothing_is_raised(messages: list[dict[str, Any]]) -> None:
    conn = connect()
    frames = [build_frame(TEXT, (MARK + json.dumps(each)).encode()) for each in messages]
    hear(conn, *frames)
    assert conn.state is State.OPEN or conn.close_code in (1002, 1007)


# --- what is asked for -----------------------------------------------------------------------------------


def test_the_first_message_asks_and_a_text_with_the_mark_has_one_more() -> None:
    conn = connect(Replay({"küche": "1-2"}))
    conn.send_message(b"\x1ex", True)
    conn.send_message(b"\x1ex", False)
    conn.send_prepared(PreparedMessage(b"\x1ey", True))
    conn.send_prepared(PreparedMessage(b"z", True))
    conn.send_message(b"", True)
    assert sent(conn) == [
        '\x1e{"resume":{"küche":"1-2"}}'.encode(),
        b"\x1e\x1ex",
        b"\x1ex",
        b"\x1e\x1ey",
        b"z",
        b"",
    ]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"\x1ea", b"b"], [b"\x1e\x1ea", b"b"]),
        ([b"", b"", b"\x1ea", b"\x1eb"], [b"", b"", b"\x1e\x1ea", b"\x1eb"]),
        ([b"a", b"\x1eb"], [b"a", b"\x1eb"]),
        ([b"", b"a", b"\x1eb"], [b"", b"a", b"\x1eb"]),
    ],
)
def test_a_text_in_fragments_is_marked_where_it_begins(pieces: list[bytes], expected: list[bytes]) -> None:
    conn = connect()
    sent(conn)
    for is_text in (True, False):
        for number, piece in enumerate(pieces):
            conn.send_fragment(piece, is_text, first=not number, fin=number == len(pieces) - 1)
    assert sent(conn) == expected + pieces


def test_what_is_asked_for_is_bounded() -> None:
    replay = Replay({f"room {number}": "1" for number in range(MAX_ROOMS)})
    hear(connect(replay), said(room="room 0", id="2"), said(room="one more", id="1"))
    asked = ask(replay)
    assert len(asked) == MAX_ROOMS
    assert (asked["room 0"], asked["one more"]) == ("2", "1")
    assert "room 1" not in asked  # heard of longest ago


def test_rooms_for_which_there_is_no_place_in_the_question_are_missed() -> None:
    rooms = [f"{number:04}" + "鳥" * 196 for number in range(MAX_ROOMS)]
    replay = Replay(dict.fromkeys(rooms, "1-" + "0" * 62))
    message, left_out = replay.build_resume()
    assert len(message) <= MAX_RESUME
    asked = list(json.loads(message[1:])["resume"])
    assert left_out + asked == rooms
    assert len(message) > MAX_RESUME * 0.8
    conn = connect(replay)
    assert conn.has_events
    assert hear(conn) == [("missed", room) for room in left_out]
    assert not conn.has_events


def test_what_is_remembered_is_bounded() -> None:
    replay = Replay()
    conn = connect(replay)
    for start in range(0, 20_000, 200):
        numbers = range(start, start + 200)
        assert len(hear(conn, *(said(room="a", id=f"1-{number}", data="x") for number in numbers))) == 200
        assert len(hear(conn, *(said(room="a", key=f"{number}", data="x") for number in numbers))) == 200
    assert len(replay._ids) < 1000
    assert len(replay._keys) < 5000
    assert not replay._untaken


# --- what the application has had ---------------------------------------------------------------------------


class Asking(WebSocketBaseClient):
    """Has no hook: a message is had when receive() returns it."""


def test_positions_are_those_of_what_was_taken_and_the_rest_is_asked_for_again() -> None:
    replay = Replay()
    conn = connect(replay)
    client = Asking("ws://localhost", [SUBPROTOCOL])
    client._replay = replay
    frames = (
        said(room="a", id="1", data="x"),
        said(room="b", key="k", data="y"),
        said(room="a", id="2", data="z"),
    )
    conn.receive_data(b"".join(frames) + said(room="a", id="3") + said(room="b", id="7"), 2.0)
    events = []
    while (event := conn.next_event()) is not None:
        assert isinstance(event, Arrived)
        events.append(event.message)
    assert replay.positions == {}
    assert ask(replay) == {"a": "3", "b": "7"}
    client._note_taken(events[0])
    assert client.positions == {"a": "1"}
    client._note_taken(events[1])
    assert client.positions == {"a": "1", "b": "7"}
    replay.restart()  # by connect(): what nobody has taken is gone
    assert ask(replay) == {"a": "1", "b": "7"}
    assert hear(connect(replay), *frames, said(room="a", id="3")) == [("a", "2", b"z")]
    assert client.positions == {"a": "3", "b": "7"}


def test_with_a_hook_a_message_is_had_when_it_is_called() -> None:
    replay = Replay()
    seen = []

    class Hooked(Client):
        def received_message(self, message: Any) -> None:
            seen.append(replay.positions)

    conn = connect(replay)
    conn.receive_data(said(room="a", id="1", data="x") + said(room="a", id="2", data="y"), 2.0)
    while isinstance(event := conn.next_event(), HookDue):
        event.tell(Hooked())
    assert seen == [{"a": "1"}, {"a": "2"}]


# --- the arguments ---------------------------------------------------------------------------------------


def test_positions_go_from_one_client_to_the_next() -> None:
    client = WebSocketBaseClient("ws://localhost", [SUBPROTOCOL, "chat"], positions={"a": "1"})
    assert client.positions == {"a": "1"}
    client.positions["b"] = "2"  # a copy
    again = WebSocketBaseClient("ws://localhost", [SUBPROTOCOL], positions=client.positions)
    assert again.positions == {"a": "1"}
    assert WebSocketBaseClient("ws://localhost").positions == {}


@pytest.mark.parametrize(
    ("positions", "error", "says"),
    [
        ({"a": 1}, TypeError, "'a': 1; both are str"),
        ({1: "a"}, TypeError, "1: 'a'; both are str"),
        ({"a": "b c"}, ValueError, "which no server has said"),
        ({"": "1"}, ValueError, "which no server has said"),
        ({"a": "1" * 65}, ValueError, "which no server has said"),
        ({str(number): "1" for number in range(1001)}, ValueError, "1001 rooms; at most 1000"),
    ],
)
def test_positions_that_are_none_are_refused(positions: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        WebSocketBaseClient("ws://localhost", [SUBPROTOCOL], positions=positions)


def test_positions_are_for_clients_that_offer_the_protocol() -> None:
    with pytest.raises(ValueError, match=r"protocols=\['ws4py.replay.v1'\]"):
        WebSocketBaseClient("ws://localhost", ["chat"], positions={"a": "1"})


def test_a_server_that_chose_something_else_is_spoken_to_as_ever() -> None:
    client = WebSocketBaseClient("ws://localhost", [SUBPROTOCOL, "chat"])
    conn = Connection(Side.CLIENT, Policy(), now=1.0)
    client.protocols = ["chat"]
    assert adopt(client, Replay(), conn) is conn
    client.protocols = [SUBPROTOCOL]
    assert isinstance(adopt(client, Replay(), conn), ReplayingConnection)


def test_other_events_come_through() -> None:
    conn = connect()
    conn.receive_data(build_frame(8, b"\x03\xe8"), 2.0)
    assert isinstance(conn.next_event(), CloseReceived)
    assert Missed("a").room == "a"
