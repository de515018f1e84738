"""core.connection: one WebSocket from its 101 on; the peer is byte vectors, the clock a number."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.connections import (
    POLICY,
    get_state,
    give,
    give_close,
    half_close,
    has_events,
    has_more,
    is_finished,
    make_client,
    make_server,
    send,
    take,
)
from tests.core.memory import trace_memory
from tests.core.pair import ConnectionPair
from tests.core.wire import BINARY, KEY, TEXT, build_frame
from ws4py_middleware.core.connection import TRANSITIONS, Connection, Step, random_mask_key
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.types import Side, State
from ws4py_middleware.exc import ConnectionClosed

# --- the table ---------------------------------------------------------------------


def test_transitions_leave_open_and_closing_only_and_lead_to_the_end() -> None:
    assert {state for state, _ in TRANSITIONS} == {State.OPEN, State.CLOSING}
    assert all(later > earlier for (earlier, _), later in TRANSITIONS.items())
    for step in Step:
        assert TRANSITIONS.get((State.CLOSING, step), State.CLOSED) is State.CLOSED


def test_new_connection_is_open_with_nothing_to_do() -> None:
    connection = make_server(now=5.0)
    assert get_state(connection) is State.OPEN
    assert connection.next_event() is None
    assert connection.data_to_send() == b""
    assert connection.next_deadline() == 25.0
    assert not is_finished(connection)
    assert not half_close(connection)
    assert not has_events(connection)
    assert not has_more(connection)
    assert connection.latency is None
    assert (connection.close_code, connection.close_reason) == (1006, "Going away")


# --- messages ----------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_server, make_client])
def test_messages_arrive_in_order(make: Callable[[], Connection]) -> None:
    connection = make()
    give(connection, TEXT, b"one")
    give(connection, BINARY, b"two")
    assert has_events(connection)
    assert take(connection) == [("text", b"one"), ("binary", b"two")]
    assert not has_events(connection)


def test_client_masks_with_the_key_it_is_given() -> None:
    """The masked "Hello" of RFC 6455 section 5.7."""
    client = make_client()
    client.send_message(b"Hello", True)
    assert send(client).hex() == "818537fa213d7f9f4d5158"


def test_server_does_not_mask() -> None:
    """The unmasked "Hello" of RFC 6455 section 5.7."""
    server = make_server()
    server.send_message(b"Hello", True)
    server.send_message(memoryview(b"Hello"), False)
    assert send(server).hex() == "810548656c6c6f" + "820548656c6c6f"


def test_default_mask_keys_are_four_bytes_that_change() -> None:
    assert len(random_mask_key()) == 4
    client = Connection(Side.CLIENT, POLICY)
    for _ in range(8):
        client.send_message(b"\0\0\0\0", False)
    wire = send(client)
    assert len({wire[i : i + 4] for i in range(2, len(wire), 10)}) > 1


def test_send_after_close_raises_with_code_and_reason() -> None:
    server = make_server()
    give_close(server, 4001, b"enough")
    take(server)
    message = PreparedMessage(b"x", True)
    calls: list[Callable[[], object]] = [
        lambda: server.send_message(b"x", True),
        lambda: server.send_prepared(message),
        lambda: server.send_fragment(b"x", True, first=True, fin=True),
        server.ping,
        server.pong,
    ]
    for call in calls:
        with pytest.raises(ConnectionClosed) as caught:
            call()
        assert (caught.value.code, caught.value.reason) == (4001, "enough")


def test_message_sizes_arrive_whole() -> None:
    pair = ConnectionPair()
    for size in (0, 1, 125, 126, 127, 65535, 65536, 2**20):
        pair.client.connection.send_message(b"x" * size, False)
        pair.server.connection.send_message(b"y" * size, True)
    pair.settle()
    assert [len(event[1]) for event in pair.server.messages] == [0, 1, 125, 126, 127, 65535, 65536, 2**20]  # type: ignore[arg-type]
    assert [event[0] for event in pair.client.messages] == ["text"] * 8


# --- batches -----------------------------------------------------------------------


def test_batch_stops_at_turn_frames_and_goes_on_without_data() -> None:
    server = make_server(POLICY.replace(turn_frames=2))
    server.receive_data(build_frame(TEXT, b"x", key=KEY) * 5, 0.0)
    taken = [len(take(server))]
    while has_more(server):
        server.receive_data(b"", 0.0)
        taken.append(len(take(server)))
    assert taken == [2, 2, 1]


def test_batch_size_may_be_given() -> None:
    server = make_server()
    server.receive_data(build_frame(TEXT, b"x", key=KEY) * 5, 0.0, 3)
    assert len(take(server)) == 3
    assert has_more(server)
    server.receive_data(b"", 0.0, 1)
    assert len(take(server)) == 1


def test_events_not_taken_stay_in_front_of_later_ones() -> None:
    server = make_server()
    for text in (b"1", b"2", b"3"):
        give(server, TEXT, text)
    assert server.next_event() is not None
    give(server, TEXT, b"4")
    assert take(server) == [("text", b"2"), ("text", b"3"), ("text", b"4")]


@pytest.mark.cpython
def test_events_taken_are_forgotten_though_others_always_wait() -> None:
    server = make_server()
    wire = build_frame(BINARY, b"\0" * 65536, key=KEY)
    server.receive_data(wire, 0.0)
    with trace_memory() as measure:
        for _ in range(200):
            server.receive_data(wire, 0.0)
            assert server.next_event() is not None
        assert measure()[0] < 2**20


def test_failed_connection_has_no_more_to_parse() -> None:
    """Otherwise a driver that goes on while there is more would spin."""
    server = make_server(POLICY.replace(turn_frames=1))
    server.receive_data(build_frame(TEXT, b"x", key=KEY) * 3, 0.0)
    assert has_more(server)
    server.fail(1011, "the handler raised", 0.0)
    assert not has_more(server)
    assert not has_events(server)
    assert server.next_event() is None


def test_lost_connection_has_no_more_to_parse() -> None:
    server = make_server(POLICY.replace(turn_frames=1))
    server.receive_data(build_frame(TEXT, b"x", key=KEY) * 3, 0.0)
    server.lose("reset by peer")
    assert not has_more(server)
    assert not has_events(server)
    assert server.next_event() is None


def works(machine: Connection) -> tuple[bool, bool, bool]:
    return machine.has_work(), machine.has_events, machine.has_more


def test_work_of_a_connection_is_events_and_bytes_and_errors() -> None:
    server = make_server(POLICY.replace(turn_frames=1))
    server.receive_data(2 * build_frame(TEXT, b"Hi", key=KEY), 0.0)
    assert works(server) == (True, True, True)
    server.next_event()
    assert works(server) == (True, False, True)
    server.receive_data(b"", 0.0)
    server.next_event()
    assert works(server) == (False, False, False)
    server.receive_data(b"\xff\xff", 0.0)
    assert works(server) == (True, True, False)
    assert server.next_event() is None
    assert works(server) == (False, False, False)


# --- room for long payloads ---------------------------------------------------------------


@pytest.mark.parametrize("policy", [POLICY, POLICY.replace(idle_timeout=60.0)])
def test_room_is_filled_and_the_message_is_there(policy: Policy) -> None:
    server = make_server(policy)
    payload = bytes(range(250)) * 400
    wire = build_frame(BINARY, payload, key=KEY)
    assert server.get_room(1000) is None
    server.receive_data(build_frame(TEXT, b"first", key=KEY) + wire[:100], 0.0)
    position = 100
    while (room := server.get_room(30_000)) is not None:
        size = len(room)
        room[:] = wire[position : position + size]
        room.release()
        server.room_filled(size, 1.0)
        position += size
    server.receive_data(wire[position:], 2.0)
    assert take(server) == [("text", b"first"), ("binary", payload)]
    assert server.count().bytes_received == len(wire) + 11


def test_room_of_a_connection_that_was_failed_meanwhile_is_nobodys() -> None:
    server = make_server()
    server.receive_data(build_frame(BINARY, bytes(50_000), key=KEY)[:100], 0.0)
    room = server.get_room(10)
    assert room is not None
    room.release()
    server.fail(1008, "enough", 0.0)
    server.room_filled(10, 0.0)
    assert server.get_room(10) is None
    assert server.next_event() is None
