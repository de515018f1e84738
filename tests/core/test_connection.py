"""core.connection: one WebSocket from its 101 to its end; the peer is byte vectors, the clock a number."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from tests.core.pair import ConnectionPair
from tests.core.wire import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    TEXT,
    build_close,
    build_frame,
    describe,
    read_frames,
)
from ws4py_middleware.core.connection import TRANSITIONS, Connection, Step, random_mask_key
from ws4py_middleware.core.deadlines import LINGER
from ws4py_middleware.core.events import PongReceived
from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.types import Side, State
from ws4py_middleware.exc import ConnectionClosed

POLICY = Policy()
#: No timers of its own, so that only those under test are there.
QUIET = Policy(ping_interval=None, ping_timeout=None, write_timeout=None)


def make_server(policy: Policy = POLICY, *, keep: bool | None = None, now: float = 0.0) -> Connection:
    extensions = [] if keep is None else [make_deflate(keep)]
    return Connection(Side.SERVER, policy, extensions, now=now)


def make_client(policy: Policy = POLICY, *, keep: bool | None = None) -> Connection:
    extensions = [] if keep is None else [make_deflate(keep)]
    return Connection(Side.CLIENT, policy, extensions, make_mask_key=lambda: KEY)


def make_deflate(keep: bool, threshold: int = 16) -> Deflate:
    options = DeflateOptions(threshold=threshold)
    return Deflate(options, encoder_bits=12, decoder_bits=12, keep_encoder=keep, keep_decoder=keep)


def give(
    connection: Connection, opcode: int, payload: bytes = b"", now: float = 0.0, *, fin: bool = True
) -> None:
    """Bring a frame of the peer."""
    key = KEY if connection.side is Side.SERVER else None
    connection.receive_data(build_frame(opcode, payload, fin=fin, key=key), now)


def give_close(connection: Connection, code: int = 1000, reason: bytes = b"", now: float = 0.0) -> None:
    give(connection, CLOSE, code.to_bytes(2, "big") + reason, now)


def take(connection: Connection) -> list[tuple[object, ...]]:
    """Take all events that are there."""
    events = []
    while (event := connection.next_event()) is not None:
        events.append(describe(event))
    return events


def send(connection: Connection, now: float = 0.0) -> bytes:
    """Let the network take everything."""
    wire = b""
    while data := connection.data_to_send():
        wire += data
        connection.data_sent(len(data), now)
    assert connection.queued == 0
    return wire


# What is asked more than once in a test; mypy would take the first answer for the last.


def get_state(connection: Connection) -> State:
    return connection.state


def is_finished(connection: Connection) -> bool:
    return connection.finished


def half_close(connection: Connection) -> bool:
    return connection.half_close


def has_more(connection: Connection) -> bool:
    return connection.has_more


def has_events(connection: Connection) -> bool:
    return connection.has_events


# --- the table -----------------------------------------------------------------------


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


# --- messages ------------------------------------------------------------------------


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


# --- batches -------------------------------------------------------------------------


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


def test_events_taken_are_forgotten_though_others_always_wait() -> None:
    server = make_server()
    wire = build_frame(BINARY, b"\0" * 65536, key=KEY)
    server.receive_data(wire, 0.0)
    tracemalloc.start()
    try:
        for _ in range(200):
            server.receive_data(wire, 0.0)
            assert server.next_event() is not None
        assert tracemalloc.get_traced_memory()[0] < 2**20
    finally:
        tracemalloc.stop()


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


# --- control frames ------------------------------------------------------------------


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


def test_p5_megabytes_of_unread_pings_leave_one_pong() -> None:
    server = make_server(POLICY.replace(max_control_frames=None))
    flood = build_frame(PING, b"x" * 125, key=KEY) * 500
    tracemalloc.start()
    try:
        for _ in range(128):  # 8 MiB
            server.receive_data(flood, 0.0)
            while take(server) or has_more(server):
                server.receive_data(b"", 0.0)
        assert tracemalloc.get_traced_memory()[0] < 2 * 65536 + 65536
    finally:
        tracemalloc.stop()
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
    assert [first for first, _ in read_frames(send(server))] == [0x82, 0x88]


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


# --- fragments -----------------------------------------------------------------------


def test_fragments_stand_together_and_others_wait_for_the_last() -> None:
    """The fragmented "Hello" of RFC 6455 section 5.7, with a message and a ping in between."""
    server = make_server()
    server.send_fragment(b"Hel", True, first=True, fin=False)
    server.send_message(bytearray(b"later"), False)
    server.send_prepared(PreparedMessage(b"last", True))
    server.ping(b"now")
    assert server.backlog == server.queued + 9
    server.send_fragment(b"lo", True, first=False, fin=True)
    assert server.backlog == server.queued
    assert send(server).hex() == "010348656c" + "8903" + b"now".hex() + "80026c6f" + (
        "8205" + b"later".hex() + "8104" + b"last".hex()
    )


def test_single_fragment_is_a_whole_message() -> None:
    server = make_server()
    server.send_fragment(b"Hi", False, first=True, fin=True)
    server.send_message(b"x", True)
    assert list(read_frames(send(server))) == [(0x82, b"Hi"), (0x81, b"x")]


def test_close_between_fragments_forgets_those_who_wait() -> None:
    server = make_server()
    server.send_fragment(b"Hel", True, first=True, fin=False)
    server.send_message(b"later", False)
    server.close(1001, "", 0.0)
    assert server.backlog == server.queued
    assert [first for first, _ in read_frames(send(server))] == [0x01, 0x88]
    with pytest.raises(ConnectionClosed):
        server.send_fragment(b"lo", True, first=False, fin=True)


@pytest.mark.parametrize("keep", [False, True])
def test_compressed_fragments_and_messages_arrive(keep: bool) -> None:
    pair = ConnectionPair(POLICY, [make_deflate(keep)], [make_deflate(keep)])
    for end in (pair.client, pair.server):
        connection = end.connection
        connection.send_message(b"spam " * 100, True)
        connection.send_message(b"short", True)
        connection.send_fragment(b"spam " * 50, False, first=True, fin=False)
        connection.ping(b"between")
        connection.send_message(b"spam " * 70, True)
        connection.send_fragment(b"", False, first=False, fin=False)
        connection.send_fragment(b"spam " * 60, False, first=False, fin=True)
    assert pair.server.connection.queued < 250
    pair.settle()
    expected = [
        ("text", b"spam " * 100),
        ("text", b"short"),
        ("binary", b"spam " * 110),
        ("text", b"spam " * 70),
    ]
    assert pair.client.messages == pair.server.messages == expected
    assert ("ping", b"between") in pair.client.events


# --- prepared messages -----------------------------------------------------------------


def test_prepared_message_is_framed_once_for_all_servers_alike() -> None:
    message = PreparedMessage(b"Hello", True)
    first, second = make_server(), make_server()
    first.send_prepared(message)
    second.send_prepared(message)
    assert len(message.frames) == 1
    assert send(first).hex() == send(second).hex() == "810548656c6c6f"


def test_prepared_message_is_compressed_once_for_all_that_share() -> None:
    message = PreparedMessage(b"spam " * 100, True)
    plain, sharing, other = make_server(), make_server(keep=False), make_server(keep=False)
    for server in (plain, sharing, other):
        server.send_prepared(message)
    assert len(message.frames) == 2
    assert list(read_frames(send(plain))) == [(0x81, b"spam " * 100)]
    wire = send(sharing)
    assert wire == send(other)
    assert wire[0] == 0xC1
    assert len(wire) < 50


def test_prepared_message_below_the_threshold_is_not_compressed() -> None:
    server = make_server(keep=False)
    server.send_prepared(PreparedMessage(b"short", False))
    assert list(read_frames(send(server))) == [(0x82, b"short")]


def test_prepared_message_is_not_compressed_with_context_takeover() -> None:
    message = PreparedMessage(b"spam " * 100, True)
    keeping, plain = make_server(keep=True), make_server()
    keeping.send_prepared(message)
    plain.send_prepared(message)
    assert len(message.frames) == 1
    assert list(read_frames(send(keeping))) == [(0x81, b"spam " * 100)]


def test_prepared_message_of_a_client_has_a_mask_of_its_own() -> None:
    message = PreparedMessage(b"Hello", True)
    client = make_client()
    client.send_prepared(message)
    assert send(client).hex() == "818537fa213d7f9f4d5158"
    assert not message.frames


# --- the queue -----------------------------------------------------------------------


def test_data_to_send_is_the_same_until_it_is_taken() -> None:
    server = make_server()
    server.send_message(b"Hello", True)
    first = bytes(server.data_to_send())
    server.send_message(b"again", True)
    assert bytes(server.data_to_send()) == first
    server.data_sent(3, 0.0)
    assert bytes(server.data_to_send()) == first[3:]
    server.data_sent(0, 0.0)
    assert bytes(server.data_to_send()) == first[3:]
    assert server.queued == 4 + 7
    assert send(server) == first[3:] + build_frame(TEXT, b"again")


def test_large_queue_leaves_in_pieces_that_are_not_copied_more_than_once() -> None:
    server = make_server()
    for _ in range(10):
        server.send_message(b"x" * 50_000, False)
    server.send_message(b"y" * 300_000, False)
    sizes = []
    wire = b""
    while data := server.data_to_send():
        sizes.append(len(data))
        wire += data
        server.data_sent(len(data), 0.0)
    assert all(size >= 128 * 1024 for size in sizes[:-1])
    assert [len(payload) for _, payload in read_frames(wire)] == [50_000] * 10 + [300_000]


def test_first_frame_is_sent_alone_when_it_fills_a_piece() -> None:
    server = make_server()
    server.send_message(b"x" * 300_000, False)
    server.send_message(b"y" * 300_000, False)
    assert len(server.data_to_send()) == 300_010


def test_drop_oldest_never_touches_what_was_given_to_the_network() -> None:
    server = make_server()
    server.send_message(b"first", True)
    server.data_to_send()
    server.data_sent(1, 0.0)
    server.send_message(b"second", True)
    server.send_message(b"third", False)
    assert server.drop_oldest()
    assert server.drop_oldest()
    assert not server.drop_oldest()
    assert server.queued == 6
    assert send(server) == build_frame(TEXT, b"first")[1:]


def test_drop_oldest_leaves_control_frames_and_fragments() -> None:
    server = make_server()
    server.ping(b"ping")
    server.send_fragment(b"a", True, first=True, fin=False)
    server.send_fragment(b"b", True, first=False, fin=True)
    server.send_message(b"message", True)
    server.close(1000, "", 0.0)
    assert server.drop_oldest()
    assert not server.drop_oldest()
    assert [first for first, _ in read_frames(send(server))] == [0x89, 0x01, 0x80, 0x88]


@pytest.mark.parametrize("keep", [False, True])
def test_drop_oldest_leaves_messages_that_later_ones_refer_to(keep: bool) -> None:
    server = make_server(keep=keep)
    server.send_message(b"spam " * 100, True)
    server.send_message(b"plain", True)
    assert server.drop_oldest()
    left = [first for first, _ in read_frames(send(server))]
    assert left == ([0xC1] if keep else [0x81])


# --- the closing handshake -------------------------------------------------------------


@pytest.mark.parametrize("side", ["client", "server"])
def test_closing_handshake_ends_both_with_the_same_code(side: str) -> None:
    pair = ConnectionPair()
    end = getattr(pair, side)
    end.connection.close(4000, "done", pair.now)
    assert get_state(end.connection) is State.CLOSING
    assert end.connection.close_sent == (4000, "done")
    pair.finish()
    assert pair.now == 0.0  # no timer was needed
    for connection in (pair.client.connection, pair.server.connection):
        assert connection.close_code == 4000
        assert connection.close_sent is not None
        assert connection.close_sent[0] == 4000
    other = pair.server if side == "client" else pair.client
    assert other.events == [("close", 4000, "done")]
    assert other.connection.close_reason == "done"
    assert other.connection.close_sent == (4000, "")


def test_close_of_both_at_once() -> None:
    pair = ConnectionPair()
    pair.client.connection.close(1000, "bye", 0.0)
    pair.server.connection.close(1001, "away", 0.0)
    pair.finish()
    assert pair.client.connection.close_code == 1001
    assert pair.server.connection.close_code == 1000


@pytest.mark.parametrize("code", [None, 1005])
def test_close_without_a_code(code: int | None) -> None:
    pair = ConnectionPair()
    pair.client.connection.close(code, "", 0.0)
    assert pair.client.connection.close_sent == (1005, "")
    pair.finish()
    assert pair.server.events == [("close", 1005, "")]
    assert pair.server.connection.close_sent == (1005, "")
    assert pair.client.connection.close_code == 1005


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
def test_close_with_a_code_that_may_not_be_sent_changes_nothing(code: int) -> None:
    server = make_server()
    with pytest.raises(ValueError, match="may not be sent"):
        server.close(code, "", 0.0)
    with pytest.raises(ValueError, match="may not be sent"):
        server.fail(code, "", 0.0)
    assert get_state(server) is State.OPEN
    assert server.close_sent is None
    assert server.queued == 0
    assert server.close_code == 1006


def test_close_again_does_nothing() -> None:
    server = make_server()
    server.close(1000, "", 0.0)
    server.close(1001, "", 3.0)
    assert server.close_sent == (1000, "")
    assert len(list(read_frames(send(server)))) == 1
    assert server.next_deadline() == 10.0


def test_long_reason_is_cut_at_a_code_point() -> None:
    server = make_server()
    server.close(1000, "é" * 100, 0.0)
    ((_, payload),) = read_frames(send(server))
    assert payload == b"\x03\xe8" + "é".encode() * 61


def test_messages_are_still_taken_after_this_end_closed() -> None:
    server = make_server()
    server.close(1000, "", 0.0)
    give(server, TEXT, b"still here")
    give_close(server, 1000)
    assert take(server) == [("text", b"still here"), ("close", 1000, "")]
    assert get_state(server) is State.CLOSED
    assert len(list(read_frames(send(server)))) == 1


def test_bytes_behind_a_close_frame_are_ignored() -> None:
    server = make_server()
    server.receive_data(build_close(1000, key=KEY) + b"\xff" * 100, 0.0)
    server.receive_data(b"\xff" * 100, 0.0)
    assert take(server) == [("close", 1000, "")]
    server.receive_data(b"\xff" * 100, 0.0)
    assert take(server) == []
    assert server.close_code == 1000


def test_server_says_fin_first_and_client_waits() -> None:
    """RFC 6455 section 7.1.1: the server closes the TCP connection first, the client waits a moment."""
    pair = ConnectionPair()
    client, server = pair.client.connection, pair.server.connection
    client.close(1000, "", 0.0)
    pair.client.write(0.0)
    pair.server.read(pair.client, 0.0)
    pair.server.take_events(0.0)
    assert not half_close(server)  # the reply is not out yet
    pair.server.write(0.0)
    assert half_close(server)
    assert not is_finished(server)
    pair.client.read(pair.server, 0.0)
    pair.client.take_events(0.0)
    assert get_state(client) is State.CLOSED
    assert not half_close(client)
    assert not is_finished(client)
    pair.client.read(pair.server, 0.0)
    pair.client.take_events(0.0)
    assert is_finished(client)


@pytest.mark.parametrize("make", [make_server, make_client])
def test_peer_that_says_no_fin_is_waited_for_a_moment_only(make: Callable[[], Connection]) -> None:
    connection = make()
    give_close(connection, now=50.0)
    take(connection)
    send(connection, 51.0)
    assert connection.next_deadline() == 51.0 + LINGER
    connection.handle_deadline(51.0 + LINGER)
    assert is_finished(connection)
    assert connection.next_deadline() is None


def test_fin_right_behind_a_close_frame_leaves_the_reply_time() -> None:
    """A peer that closed its half of the TCP connection still reads the other."""
    server = make_server()
    server.send_message(b"x" * 1000, False)
    give_close(server)
    server.receive_eof(0.0)
    assert take(server) == [("close", 1000, "")]
    assert server.next_event() is None
    assert not is_finished(server)
    assert [first for first, _ in read_frames(send(server))] == [0x82, 0x88]
    assert is_finished(server)
    assert server.next_deadline() is None


def test_fin_behind_the_end_finishes_at_once() -> None:
    server = make_server()
    give_close(server)
    take(server)
    send(server)
    assert not is_finished(server)
    server.receive_eof(0.0)
    assert is_finished(server)
    assert server.next_event() is None


# --- the peer's bytes end without a Close frame ----------------------------------------------


def test_eof_delivers_what_came_before_it() -> None:
    server = make_server()
    give(server, TEXT, b"last words")
    server.receive_eof(0.0)
    assert get_state(server) is State.OPEN
    assert not is_finished(server)
    assert take(server) == [("text", b"last words")]
    assert get_state(server) is State.CLOSED
    assert is_finished(server)
    assert server.close_code == 1006
    assert server.next_deadline() is None


def test_eof_waits_for_what_is_not_parsed_yet() -> None:
    server = make_server(POLICY.replace(turn_frames=1))
    server.receive_data(build_frame(TEXT, b"x", key=KEY) * 3, 0.0)
    server.receive_eof(0.0)
    taken = take(server)
    assert not is_finished(server)
    while has_more(server):
        server.receive_data(b"", 0.0)
        taken += take(server)
    assert len(taken) == 3
    assert is_finished(server)


@pytest.mark.parametrize("size", [0, 1, 2, 5, 8])
def test_eof_in_a_frame_is_an_abnormal_end(size: int) -> None:
    server = make_server()
    server.receive_data(build_frame(TEXT, b"Hello", key=KEY)[:size], 0.0)
    server.receive_eof(0.0)
    assert take(server) == []
    assert is_finished(server)
    assert server.close_code == 1006


def test_eof_in_the_closing_handshake_is_an_abnormal_end() -> None:
    server = make_server()
    server.close(1000, "", 0.0)
    send(server)
    server.receive_eof(0.0)
    assert take(server) == []
    assert (is_finished(server), server.close_code) == (True, 1006)


def test_eof_leaves_time_for_what_is_queued() -> None:
    server = make_server()
    give(server, TEXT, b"question")
    server.receive_eof(7.0)
    assert server.next_event() is not None
    server.send_message(b"answer", True)
    assert server.next_event() is None
    assert get_state(server) is State.CLOSED
    assert not is_finished(server)
    assert server.next_deadline() == 17.0
    assert send(server) == build_frame(TEXT, b"answer")
    assert is_finished(server)


def test_eof_with_a_queue_that_nobody_takes_ends_in_time() -> None:
    server = make_server()
    server.send_message(b"answer", True)
    server.data_to_send()
    server.data_sent(0, 0.0)
    server.receive_eof(7.0)
    take(server)
    server.handle_deadline(17.0)
    assert is_finished(server)
    assert server.next_deadline() is None


# --- failing -------------------------------------------------------------------------


def test_failure_follows_the_events_before_it() -> None:
    server = make_server()
    server.receive_data(build_frame(TEXT, b"good", key=KEY) + build_frame(3, b"bad", key=KEY), 1.0)
    assert server.next_event() is not None
    assert get_state(server) is State.OPEN
    server.send_message(b"answer", True)
    assert server.next_event() is None
    assert get_state(server) is State.CLOSED
    assert server.close_sent is not None
    assert server.close_sent[0] == server.close_code == 1002
    assert "opcode" in server.close_reason
    frames = list(read_frames(send(server, 2.0)))
    assert frames[0] == (0x81, b"answer")
    assert frames[1][0] == 0x88
    assert frames[1][1][:2] == b"\x03\xea"
    assert half_close(server)
    assert server.next_deadline() == 2.0 + LINGER


def test_failure_with_fin_behind_it_sends_its_close_frame() -> None:
    server = make_server()
    server.receive_data(b"\xff\xff", 0.0)
    server.receive_eof(0.0)
    assert take(server) == []
    assert not is_finished(server)
    assert [first for first, _ in read_frames(send(server))] == [0x88]
    assert is_finished(server)


def test_failed_client_says_fin_itself() -> None:
    client = make_client()
    give(client, BINARY, b"x" * 10)
    client.fail(1003, "text only", 0.0)
    send(client)
    assert half_close(client)


def test_failure_in_the_closing_handshake_sends_no_second_close_frame() -> None:
    server = make_server()
    server.close(1000, "", 0.0)
    server.receive_data(b"\xff\xff", 1.0)
    take(server)
    assert get_state(server) is State.CLOSED
    assert server.close_code == 1002
    assert len(list(read_frames(send(server)))) == 1


def test_failure_of_a_closed_connection_changes_nothing() -> None:
    server = make_server()
    give_close(server, 1000)
    take(server)
    server.fail(1011, "too late", 0.0)
    assert server.close_code == 1000
    assert len(list(read_frames(send(server)))) == 1


def test_failure_with_discard_sends_the_rest_of_a_frame_and_close() -> None:
    server = make_server()
    server.send_message(b"first", True)
    server.data_to_send()
    server.data_sent(2, 0.0)
    server.send_fragment(b"a", True, first=True, fin=False)
    server.send_message(b"held", True)
    server.fail(1013, "too slow", 5.0, discard=True)
    assert server.next_deadline() == 5.0 + LINGER
    assert server.backlog == server.queued
    wire = build_frame(TEXT, b"first")[:2] + send(server, 5.0)
    assert [first for first, _ in read_frames(wire)] == [0x81, 0x88]


def test_failure_with_discard_keeps_a_close_frame_that_is_queued_already() -> None:
    server = make_server()
    server.send_message(b"x", True)
    server.close(1000, "", 0.0)
    server.fail(1013, "too slow", 0.0, discard=True)
    assert send(server).hex() == "880203e8"


def test_lost_connection_is_finished_with_1006() -> None:
    server = make_server()
    server.send_message(b"x", True)
    server.data_to_send()
    server.send_message(b"y", True)
    server.lose("reset by peer")
    assert is_finished(server)
    assert get_state(server) is State.CLOSED
    assert (server.close_code, server.close_reason) == (1006, "reset by peer")
    assert server.queued == 0
    assert server.data_to_send() == b""
    assert server.next_deadline() is None
    server.lose("again")
    assert server.close_reason == "reset by peer"


def test_lost_after_the_closing_handshake_keeps_its_code() -> None:
    server = make_server()
    give_close(server, 1001, b"bye")
    take(server)
    server.lose("broken pipe")
    assert (server.close_code, server.close_reason) == (1001, "bye")


# --- time ----------------------------------------------------------------------------


def test_keepalive_ping_measures_the_latency() -> None:
    server = make_server()
    assert server.next_deadline() == 20.0
    server.handle_deadline(20.0)
    ((first, payload),) = read_frames(send(server))
    assert first == 0x89
    give(server, PONG, b"else", 20.1)
    give(server, PONG, payload, 20.25)
    assert server.next_event() is not None
    assert server.latency is None
    event = server.next_event()
    assert isinstance(event, PongReceived)
    assert event.latency == server.latency == pytest.approx(0.25)
    assert server.next_deadline() == 40.0
    server.handle_deadline(40.0)
    ((_, second),) = read_frames(send(server))
    assert second != payload


def test_no_pong_in_time_fails_the_connection() -> None:
    server = make_server()
    server.handle_deadline(20.0)
    send(server)
    server.handle_deadline(40.0)
    assert get_state(server) is State.CLOSED
    assert server.close_code == 1011
    assert [first for first, _ in read_frames(send(server, 40.0))] == [0x88]
    server.handle_deadline(40.0 + LINGER)
    assert is_finished(server)


def test_keepalive_sends_one_ping_at_a_time() -> None:
    server = make_server(POLICY.replace(ping_timeout=100.0))
    for now in (20.0, 40.0, 60.0):
        server.handle_deadline(now)
    assert [first for first, _ in read_frames(send(server))] == [0x89]


def test_keepalive_without_timeout_goes_on_when_a_pong_is_missing() -> None:
    server = make_server(POLICY.replace(ping_timeout=None))
    for now in (20.0, 40.0, 60.0):
        server.handle_deadline(now)
        assert [first for first, _ in read_frames(send(server))] == [0x89]


def test_keepalive_without_timeout_does_not_pile_up_pings() -> None:
    server = make_server(POLICY.replace(ping_timeout=None, write_timeout=None))
    for turn in range(1, 1000):
        server.handle_deadline(turn * 20.0)
    assert server.queued < 10


def test_keepalive_ends_with_the_closing_handshake() -> None:
    server = make_server()
    server.close(1000, "", 19.0)
    server.handle_deadline(20.0)
    assert [first for first, _ in read_frames(send(server))] == [0x88]


def test_pong_to_a_later_ping_answers_the_keepalive_too() -> None:
    """RFC 6455 section 5.5.3: the peer may answer only the ping that it processed most recently."""
    server = make_server()
    server.handle_deadline(20.0)
    server.ping(b"mine")
    give(server, PONG, b"mine", 21.0)
    event = server.next_event()
    assert isinstance(event, PongReceived)
    assert event.latency is None
    assert server.next_deadline() == 40.0
    server.handle_deadline(40.0)
    assert get_state(server) is State.OPEN
    assert [first for first, _ in read_frames(send(server))] == [0x89, 0x89, 0x89]


def test_pong_to_an_earlier_ping_does_not_answer_the_keepalive() -> None:
    server = make_server()
    server.ping(b"mine")
    server.handle_deadline(20.0)
    give(server, PONG, b"mine", 21.0)
    take(server)
    server.handle_deadline(40.0)
    assert server.close_code == 1011


def test_idle_peer_is_closed() -> None:
    server = make_server(QUIET.replace(idle_timeout=30.0))
    give(server, TEXT, b"x", 10.0)
    assert server.next_deadline() == 40.0
    server.handle_deadline(40.0)
    assert get_state(server) is State.CLOSING
    assert server.close_sent is not None
    assert server.close_sent[0] == 1000
    assert server.next_deadline() == 50.0


def test_pings_and_pongs_do_not_keep_an_idle_peer() -> None:
    server = make_server(QUIET.replace(idle_timeout=30.0))
    for now in (10.0, 20.0, 29.0):
        give(server, PING, b"", now)
        give(server, PONG, b"", now)
        server.receive_data(b"", now)
    assert server.next_deadline() == 30.0


def test_message_among_control_frames_keeps_an_idle_peer() -> None:
    server = make_server(QUIET.replace(idle_timeout=30.0))
    frames = [(PING, b""), (TEXT, b"x"), (PONG, b"")]
    server.receive_data(b"".join(build_frame(opcode, data, key=KEY) for opcode, data in frames), 10.0)
    assert server.next_deadline() == 40.0


def test_closing_handshake_without_an_answer_ends_in_time() -> None:
    server = make_server()
    server.close(1000, "", 5.0)
    send(server)
    assert server.next_deadline() == 15.0
    server.handle_deadline(15.0)
    assert is_finished(server)
    assert server.close_code == 1006
    assert "10 s" in server.close_reason


def test_close_timeout_is_for_the_whole_closing_handshake() -> None:
    """The peer's late answer gives it no more time to take what is queued."""
    server = make_server()
    server.send_message(b"x" * 1000, False)
    server.close(1000, "", 0.0)
    give_close(server, now=9.0)
    take(server)
    assert server.queued
    assert server.next_deadline() == 10.0
    server.handle_deadline(10.0)
    assert is_finished(server)
    assert server.close_code == 1000


def test_without_close_timeout_a_stuck_peer_is_dropped_by_the_write_timeout() -> None:
    server = make_server(QUIET.replace(close_timeout=None, write_timeout=20.0))
    give_close(server)
    take(server)
    assert server.next_deadline() is None  # until the network was asked
    server.data_to_send()
    server.data_sent(0, 1.0)
    assert server.next_deadline() == 21.0
    server.handle_deadline(21.0)
    assert is_finished(server)


def test_peer_that_takes_nothing_is_lost() -> None:
    server = make_server(QUIET.replace(write_timeout=20.0))
    server.send_message(b"x" * 100, False)
    server.data_to_send()
    server.data_sent(50, 1.0)
    server.data_to_send()
    server.data_sent(0, 15.0)  # no progress
    assert server.next_deadline() == 21.0
    server.data_to_send()
    server.data_sent(10, 16.0)  # progress
    assert server.next_deadline() == 36.0
    server.handle_deadline(36.0)
    assert is_finished(server)
    assert server.close_code == 1006
    assert "took no bytes" in server.close_reason


def test_whole_piece_is_progress_and_the_last_one_the_end_of_waiting() -> None:
    server = make_server(QUIET.replace(write_timeout=20.0))
    server.send_message(b"x" * 100, False)
    server.data_to_send()
    server.data_sent(50, 1.0)
    server.send_message(b"y", False)
    server.data_sent(52, 5.0)
    assert server.next_deadline() == 25.0
    send(server, 6.0)
    assert server.next_deadline() is None


def test_pause_does_not_blame_the_peer_for_pongs_that_are_not_read() -> None:
    server = make_server()
    server.handle_deadline(20.0)
    ((_, payload),) = read_frames(send(server))
    server.pause()
    server.handle_deadline(500.0)
    assert get_state(server) is State.OPEN
    server.resume(1000.0)
    server.handle_deadline(1019.0)
    assert get_state(server) is State.OPEN
    give(server, PONG, payload, 1019.5)
    take(server)
    server.handle_deadline(1030.0)
    assert get_state(server) is State.OPEN


def test_pause_does_not_stop_the_closing_handshake() -> None:
    server = make_server()
    server.pause()
    server.close(1000, "", 1.0)
    server.handle_deadline(11.0)
    assert is_finished(server)


# --- every way to the end -----------------------------------------------------------------


def _fail(connection: Connection) -> None:
    connection.fail(1011, "", 0.0)


def _discard(connection: Connection) -> None:
    connection.fail(1013, "", 0.0, discard=True)


def _bad_frame(connection: Connection) -> None:
    connection.receive_data(b"\xff\xff", 0.0)


def _eof(connection: Connection) -> None:
    connection.receive_eof(0.0)


def _lose(connection: Connection) -> None:
    connection.lose("gone")


def _close(connection: Connection) -> None:
    connection.close(1000, "", 0.0)


_STEPS = [_fail, _discard, _bad_frame, _eof, _lose, _close, give_close]


@pytest.mark.parametrize("make", [make_server, make_client])
@pytest.mark.parametrize("first", _STEPS)
@pytest.mark.parametrize("second", _STEPS)
@pytest.mark.parametrize("stuck", [False, True])
def test_every_way_to_the_end_is_finished_in_time(
    make: Callable[[], Connection],
    first: Callable[[Connection], None],
    second: Callable[[Connection], None],
    stuck: bool,
) -> None:
    connection = make()
    connection.send_message(b"queued", True)
    connection.data_to_send()
    connection.data_sent(1, 0.0)
    first(connection)
    take(connection)
    second(connection)
    take(connection)
    now = 0.0
    while not is_finished(connection):
        if not stuck:
            send(connection, now)
        if is_finished(connection):
            break
        deadline = connection.next_deadline()
        assert deadline is not None, "it would stay for ever"
        assert deadline >= now
        now = deadline
        connection.handle_deadline(now)
        take(connection)
    assert now <= 10.0 + LINGER
    assert get_state(connection) is State.CLOSED
    assert connection.next_deadline() is None


def test_cont_is_refused_without_a_message() -> None:
    server = make_server()
    give(server, CONT, b"x")
    assert take(server) == []
    assert server.close_code == 1002
