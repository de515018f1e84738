"""core.connection: what goes out, in which order, and what may be forgotten."""

from __future__ import annotations

import pytest

from tests.core.connections import POLICY, make_client, make_deflate, make_server, send, send_firsts
from tests.core.pair import ConnectionPair
from tests.core.wire import TEXT, build_frame, joined, read_frames
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.exc import ConnectionClosed

# --- fragments ---------------------------------------------------------------------


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
    assert send_firsts(server) == [0x01, 0x88]
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


# --- prepared messages -------------------------------------------------------------


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


# --- the queue ---------------------------------------------------------------------


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
    while data := joined(server.data_to_send()):
        sizes.append(len(data))
        wire += data
        server.data_sent(len(data), 0.0)
    assert all(size >= 128 * 1024 for size in sizes[:-1])
    assert [len(payload) for _, payload in read_frames(wire)] == [50_000] * 10 + [300_000]


def test_first_frame_is_sent_alone_when_it_fills_a_piece() -> None:
    server = make_server()
    server.send_message(b"x" * 300_000, False)
    server.send_message(b"y" * 300_000, False)
    assert [len(part) for part in server.data_to_send()] == [10, 300_000]


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
    assert send_firsts(server) == [0x89, 0x01, 0x80, 0x88]


@pytest.mark.parametrize("keep", [False, True])
def test_drop_oldest_leaves_messages_that_later_ones_refer_to(keep: bool) -> None:
    server = make_server(keep=keep)
    server.send_message(b"spam " * 100, True)
    server.send_message(b"plain", True)
    assert server.drop_oldest()
    left = send_firsts(server)
    assert left == ([0xC1] if keep else [0x81])
