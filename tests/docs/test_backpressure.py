"""docs/topics/backpressure.md: what becomes of peers that do not read, with its own application."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.promises.attacker import Peer
from tests.promises.wire import BINARY, CLOSE, TEXT, KiB, MiB, frame, request
from tests.servers import Server, start, wait_for
from ws4py_middleware import Policy

COUNT = 100
SIZE = 128 * KiB
#: More than the kernel keeps for one connection and what waits here.
assert 10 * MiB < COUNT * SIZE


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start("gunicorn-gthread", "tests.docs.backpressure_app:app", threads=4) as running:
        yield running
        assert "Traceback" not in running.log


def connect(server: Server, path: str) -> Peer:
    """Connect somebody whose kernel keeps little."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KiB)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", server.port))
    peer = Peer(sock)
    peer.send(request(path))
    assert peer.read_head() == 101
    return peer


def number_of(payload: bytes) -> int:
    return int(payload[:8])


def publish(server: Server, room: str, fast: Peer) -> int:
    """Publish, one after the other, to one who reads at once and one who does not; who took the last one."""
    wait_for(lambda: server.http(f"/members/{room}").body == b"2", what="both in the room")
    taken = b"0"
    for number in range(COUNT):
        taken = server.http(f"/say/{room}?first={number}&count=1&size={SIZE}").body
        assert number_of(fast.read_message().payload) == number
    return int(taken)


def find_behind(server: Server) -> dict[str, Any]:
    (found,) = json.loads(server.http("/behind").body)
    return dict(found)


def read_numbers(peer: Peer, count: int) -> list[int]:
    return [number_of(peer.read_message().payload) for _ in range(count)]


def test_drop_oldest_keeps_the_latest_for_who_is_behind(server: Server) -> None:
    with connect(server, "/prices") as fast, connect(server, "/prices") as slow:
        assert publish(server, "prices", fast) == 2
        behind = find_behind(server)
        assert 0 < behind["queued"] <= 256 * KiB + SIZE
        assert behind["dropped"] > 0
        heard = read_numbers(slow, COUNT - behind["dropped"])
        assert heard == sorted(set(heard))
        assert (heard[0], heard[-1]) == (0, COUNT - 1)


def test_drop_newest_keeps_the_first_for_who_is_behind(server: Server) -> None:
    with connect(server, "/notices") as fast, connect(server, "/notices") as slow:
        assert publish(server, "notices", fast) == 1
        behind = find_behind(server)
        assert behind["dropped"] > 0
        kept = COUNT - behind["dropped"]
        assert read_numbers(slow, kept) == [*range(kept)]


def test_disconnect_ends_who_is_behind_with_1013(server: Server) -> None:
    with connect(server, "/orders") as fast, connect(server, "/orders") as slow:
        assert publish(server, "orders", fast) == 1
        heard = []
        while (found := slow.read_message()).opcode != CLOSE:
            heard.append(number_of(found.payload))
        assert found.code == 1013
        assert heard == [*range(len(heard))]


def test_block_waits_for_the_reader_and_keeps_little_meanwhile(server: Server) -> None:
    size = 32 * MiB
    before = server.rss()
    with connect(server, f"/download/{size}") as slow:
        assert server.http("/behind").status == 200
        first = slow.read_message()
        assert server.rss() - before < 8 * MiB
        got = len(first.payload)
        while (found := slow.read_message()).opcode == BINARY:
            got += len(found.payload)
        assert (got, found.code) == (size, 1000)


def test_upload_is_read_as_fast_as_the_handler_asks_for_it(server: Server) -> None:
    with connect(server, "/upload") as peer:
        for count in range(1, 33):
            peer.send(frame(TEXT, b"x" * 64 * KiB))
            assert int(peer.read_message().payload) == count * 64 * KiB


def test_defaults_are_as_the_page_says() -> None:
    policy = Policy()
    assert (policy.queue_policy, policy.write_high_water, policy.write_limit) == ("block", 64 * KiB, MiB)
    assert (policy.receive_queue_messages, policy.receive_queue_size) == (16, MiB)
    assert policy.write_timeout == 20.0
