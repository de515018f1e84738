"""core.connection: a peer that sends more than it may."""

from __future__ import annotations

import pytest

from tests.core.connections import QUIET, get_state, give, has_events, make_server, send_firsts, take
from tests.core.wire import KEY, TEXT, build_frame
from ws4py_middleware.core.types import State


def test_messages_within_the_rate_are_delivered_then_1008() -> None:
    server = make_server(QUIET.replace(message_rate=2))
    wire = b"".join(build_frame(TEXT, text, key=KEY) for text in (b"a", b"b", b"c", b"d"))
    server.receive_data(wire, 0.0)
    assert len(take(server)) == 2
    assert get_state(server) is State.CLOSED
    assert (server.close_code, server.close_reason) == (1008, "more than 2 messages in 1 s")
    assert send_firsts(server) == [0x88]


def test_messages_that_come_in_time_are_never_too_many() -> None:
    server = make_server(QUIET.replace(message_rate=2))
    for number in range(100):
        give(server, TEXT, b"a", number * 0.5)
        assert len(take(server)) == 1
    assert get_state(server) is State.OPEN


@pytest.mark.parametrize("size", [1, 60_000])
def test_bytes_beyond_the_rate_are_1008(size: int) -> None:
    server = make_server(QUIET.replace(byte_rate=1000))
    wire = build_frame(TEXT, b"a" * 60_000, key=KEY)
    for position in range(0, len(wire), size):
        server.receive_data(wire[position : position + size], 0.0)
        take(server)
        if get_state(server) is State.CLOSED:
            break
    assert position <= 1001
    assert (server.close_code, server.close_reason) == (1008, "more than 1000 bytes in 1 s")


def test_excess_behind_the_last_event_is_something_to_take() -> None:
    server = make_server(QUIET.replace(message_rate=1))
    server.receive_data(build_frame(TEXT, b"a", key=KEY) * 2, 0.0)
    assert server.next_event() is not None
    assert has_events(server)
    assert server.next_event() is None
    assert get_state(server) is State.CLOSED
    assert not has_events(server)
