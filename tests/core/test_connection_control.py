"""core.connection: pings and pongs, and floods of them."""

from __future__ import annotations

import pytest

from tests.core.connections import (
    POLICY,
    get_state,
    give,
    give_close,
    has_more,
    make_client,
    make_server,
    send,
    send_firsts,
    take,
)
from tests.core.memory import trace_memory
from tests.core.wire import KEY, PING, PONG, TEXT, build_frame, read_frames
from ws4py_middleware.core.events import PongReceived
from ws4py_middleware.core.types import State


def test_ping_is_answered_when_it_is_taken_with_the_same_payload() -> None:
    server = make_server()
    give(server, PING, b"Hello")
    assert server.data_to_send() == b""
    assert take(server) == [("ping", b"Hello")]
    assert send(server).hex() == "8a0548656c6c6f"


def test_pong_of_a_client_is_masked() -> None:
    """The masked pong of RFC 6455 section 5.7."""
    client = make_client()
    give(client, PING, b"Hello")
    take(client)
    assert send(client).hex() == "8a8537fa213d7f9f4d5158"


def test_reply_of_a_handler_stands_before_the_reply_to_the_close_behind_its_message() -> None:
    server = make_server()
    give(server, TEXT, b"question")
    give_close(server)
    assert server.next_event() is not None
    server.send_message(b"answer", True)
    take(server)
    assert [payload for _, payload in read_frames(send(server))] == [b"answer", b"\x03\xe8"]


def test_application_ping_and_pong() -> None:
    server = make_server()
    server.ping()
    server.ping(b"a" * 125)
    server.pong(b"heartbeat")
    assert list(read_frames(send(server))) == [(0x89, b""), (0x89, b"a" * 125), (0x8A, b"heartbeat")]


@pytest.mark.parametrize("name", ["ping", "pong"])
def test_control_payload_too_long_is_refused_before_anything_is_queued(name: str) -> None:
    server = make_server()
    with pytest.raises(ValueError, match="126 bytes in a P"):
        getattr(server, name)(b"a" * 126)
    assert server.queued == 0


def test_ping_after_this_end_closed_is_not_answered() -> None:
    server = make_server()
    server.close(1000, "", 0.0)
    send(server)
    give(server, PING, b"x")
    assert take(server) == [("ping", b"x")]
    assert server.data_to_send() == b""


def test_unread_pongs_collapse_to_the_latest() -> None:
    server = make_server(POLICY.replace(write_high_water=1000, max_control_frames=None))
    server.send_message(b"x" * 2000, False)
    for number in range(100):
        give(server, PING, b"%d" % number)
        take(server)
    assert server.queued < 2100
    assert list(read_frames(send(server))) == [(0x8A, b"99"), (0x82, b"x" * 2000)]


@pytest.mark.cpython
def test_p5_megabytes_of_unread_pings_leave_one_pong() -> None:
    server = make_server(POLICY.replace(max_control_frames=None))
    flood = build_frame(PING, b"x" * 125, key=KEY) * 500
    with trace_memory() as measure:
        for _ in range(128):  # 8 MiB
            server.receive_data(flood, 0.0)
            while take(server) or has_more(server):
                server.receive_data(b"", 0.0)
        assert measure()[0] < 2 * 65536 + 65536
    assert 65536 < server.queued < 65536 + 200
    give(server, PING, b"latest")
    take(server)
    frames = list(read_frames(send(server)))
    assert len(frames) < 1000
    assert frames[0] == (0x8A, b"latest")


def test_p5_pings_by_default_are_a_flood_from_the_1025th_of_a_second_on() -> None:
    server = make_server()
    server.receive_data(build_frame(PING, key=KEY) * 1030, 0.0, 2000)
    assert len(take(server)) == 1024
    assert server.close_code == 1008


def test_latest_pong_waits_for_the_piece_that_is_on_its_way() -> None:
    server = make_server(POLICY.replace(write_high_water=1000))
    server.send_message(b"x" * 2000, False)
    wire = bytes(server.data_to_send()[:10])
    server.data_sent(10, 0.0)
    give(server, PING, b"1")
    take(server)
    assert list(read_frames(wire + send(server))) == [(0x82, b"x" * 2000), (0x8A, b"1")]


def test_latest_pong_stays_in_front_of_later_pongs() -> None:
    server = make_server(POLICY.replace(write_high_water=1000))
    server.send_message(b"x" * 2000, False)
    server.data_to_send()
    give(server, PING, b"1")
    take(server)
    server.data_sent(1500, 0.0)
    give(server, PING, b"2")
    take(server)
    rest = send(server)[-6:]
    assert list(read_frames(rest)) == [(0x8A, b"1"), (0x8A, b"2")]


def test_latest_pong_is_not_sent_after_a_close_frame() -> None:
    server = make_server(POLICY.replace(write_high_water=1000))
    server.send_message(b"x" * 2000, False)
    give(server, PING, b"1")
    take(server)
    server.close(1000, "", 0.0)
    assert send_firsts(server) == [0x82, 0x88]


def test_control_frames_are_forgiven_after_a_second() -> None:
    policy = POLICY.replace(max_control_frames=10)
    server = make_server(policy)
    for second in range(5):
        for _ in range(10):
            give(server, PONG, b"", float(second))
    take(server)
    assert get_state(server) is State.OPEN
    give(server, PONG, b"", 4.5)
    take(server)
    assert get_state(server) is State.CLOSED
    assert server.close_code == 1008


def test_unsolicited_pong_has_no_latency() -> None:
    server = make_server()
    give(server, PONG, b"\0\0\0\1")
    event = server.next_event()
    assert isinstance(event, PongReceived)
    assert event.latency is None
    assert server.latency is None
