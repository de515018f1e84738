"""The connection: what is counted of it."""

from __future__ import annotations

import pytest

from tests.core.connections import QUIET, give, give_close, make_client, make_server, send, take
from tests.core.wire import CONT, KEY, PING, TEXT, build_frame
from ws4py_middleware.core.connection import Connection
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.prepared import PreparedMessage


def test_messages_are_counted_and_control_frames_are_bytes_only() -> None:
    server = make_server(QUIET)
    wire = b"".join(
        [
            build_frame(TEXT, b"one", key=KEY),
            build_frame(PING, b"", key=KEY),
            build_frame(TEXT, b"tw", fin=False, key=KEY),
            build_frame(CONT, b"o", key=KEY),
        ]
    )
    for byte in wire:
        server.receive_data(bytes([byte]), 0.0)
    give_close(server)
    assert len(take(server)) == 4
    counts = server.count()
    assert (counts.messages_received, counts.bytes_received) == (2, len(wire) + 8)
    assert counts.messages_sent == 0


@pytest.mark.parametrize("make", [make_server, make_client])
def test_each_kind_of_message_is_counted_once(make: object) -> None:
    connection: Connection = make_server(QUIET) if make is make_server else make_client(QUIET)
    connection.send_message(b"a" * 200, True)
    connection.send_message(b"b", False)
    connection.send_prepared(PreparedMessage(b"c", True))
    connection.send_fragment(b"d", True, first=True, fin=False)
    connection.send_message(b"held until the fragments end", True)
    assert connection.count().messages_sent == 3
    connection.send_fragment(b"e", True, first=False, fin=True)
    connection.ping(b"none")
    assert connection.count().messages_sent == 5
    wire = send(connection)
    counts = connection.count()
    assert (counts.messages_sent, counts.bytes_sent) == (5, len(wire))
    assert counts.queued_max == len(wire)
    assert counts.compression_sent is None


def test_high_water_mark_is_what_waited_at_most() -> None:
    server = make_server(QUIET)
    server.send_message(b"a" * 98, True)
    server.send_message(b"b" * 98, True)
    assert server.count().queued_max == 200
    wire = server.data_to_send()
    server.data_sent(50, 0.0)
    server.send_message(b"c" * 8, True)
    assert (server.queued, server.count().queued_max) == (160, 200)
    server.data_to_send()
    server.data_sent(len(wire) - 50, 0.0)
    server.lose("gone")
    assert (server.queued, server.count().queued_max, server.count().bytes_sent) == (0, 200, 200)


def test_dropped_messages_are_counted() -> None:
    server = make_server(QUIET)
    server.send_message(b"old", True)
    assert server.drop_oldest()
    assert not server.drop_oldest()
    server.drop_newest()
    counts = server.count()
    assert (counts.messages_sent, counts.messages_dropped, counts.queued_max) == (1, 2, 5)


@pytest.mark.parametrize("keep", [False, True])
def test_compression_is_told_by_what_was_compressed(keep: bool) -> None:
    server, client = make_server(QUIET, keep=keep), make_client(QUIET, keep=keep)
    data = b"the same again, " * 20
    server.send_message(data, True)
    server.send_message(b"short", True)
    server.send_prepared(PreparedMessage(data, True))
    server.send_fragment(data, True, first=True, fin=True)
    client.receive_data(send(server), 0.0)
    assert len(take(client)) == 4
    sent, received = server.count(), client.count()
    shared = 1 if keep else 0  # with a memory of its own, what goes to many goes uncompressed
    assert sent.plain_sent == received.plain_received == (3 - shared) * len(data)
    assert 0 < received.packed_received <= sent.packed_sent < sent.plain_sent
    assert sent.compression_sent is not None
    assert sent.compression_sent > 2
    assert received.compression_received is not None


def test_latency_is_counted() -> None:
    server = make_server(Policy(ping_interval=10.0, ping_timeout=None))
    assert server.latency is None
    for now, took in ((10.0, 2.0), (22.0, 1.0)):
        server.handle_deadline(now)
        payload = send(server)[2:]
        give(server, 0xA, payload, now + took)
        take(server)
    counts = server.count()
    assert (counts.pings_answered, counts.latency_sum, counts.latency_min, counts.latency_max) == (
        2,
        3.0,
        1.0,
        2.0,
    )
    assert server.latency == 1.0


def test_connection_knows_since_when_it_is_open() -> None:
    assert make_server(now=7.0).opened_at == 7.0
