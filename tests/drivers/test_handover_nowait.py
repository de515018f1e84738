"""A socket's calls that never wait, in whichever build this is."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ws4py_middleware.core.types import Buffer
from ws4py_middleware.handover.nowait import PlainSocket
from ws4py_middleware.handover.transports import Transport

from .handover_pairs import FLAVOURS, Pair, fill, readable, receive_all

KiB = 1024


@pytest.fixture
def ends() -> Iterator[tuple[PlainSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(10)
    with ours, theirs:
        yield PlainSocket(ours), theirs


@pytest.fixture(params=FLAVOURS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    pair = Pair(request.param)
    yield pair
    pair.close()


@pytest.mark.parametrize("size", [1, 16 * KiB - 1, 16 * KiB, 64 * KiB])
def test_what_was_read_stays_as_it_is(ends: tuple[PlainSocket, socket.socket], size: int) -> None:
    """A read may use the buffer of the last one, but not before that is let go."""
    ours, theirs = ends
    blocks = []
    data: bytes | None = None
    for letter in b"abc":
        theirs.sendall(bytes([letter]) * size)
        data = ours.recv(64 * KiB)
        assert data is not None
        blocks.append((letter, data))
    assert [data == bytes([letter]) * size for letter, data in blocks] == [True] * 3
    data = None
    blocks.clear()
    for letter in b"de":  # nobody has the buffer
        theirs.sendall(bytes([letter]) * size)
        assert ours.recv(64 * KiB) == bytes([letter]) * size


def test_what_was_read_is_found_by_its_own_hash(ends: tuple[PlainSocket, socket.socket]) -> None:
    """Bytes remember their hash, and so would the buffer that is read into again."""
    ours, theirs = ends
    for letter in b"abc":
        theirs.sendall(bytes([letter]) * 20 * KiB)
        assert {ours.recv(64 * KiB)} == {bytes([letter]) * 20 * KiB}


def test_no_read_has_a_size_below_nothing(ends: tuple[PlainSocket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"a" * 20 * KiB)
    assert ours.recv(16 * KiB) == b"a" * 16 * KiB
    with pytest.raises(ValueError, match="negative"):
        ours.recv(-1)
    assert ours.recv(0) == b""
    assert ours.recv(16 * KiB) == b"a" * 4 * KiB


def test_reads_of_different_sizes_are_as_large_as_they_may_be(
    ends: tuple[PlainSocket, socket.socket],
) -> None:
    ours, theirs = ends
    theirs.sendall(b"0123456789" * 10_000)
    sizes = [len(ours.recv(size) or b"") for size in (10, 60_000, 20_000, 100_000)]
    assert sizes == [10, 60_000, 20_000, 19_990]


def test_reading_into_a_buffer(pair: Pair) -> None:
    transport, _ = pair.take()
    buffer = bytearray(b"." * 8)
    assert transport.recv_into(memoryview(buffer)) is None
    pair.client.sendall(b"abc")
    readable(transport)
    assert transport.recv_into(memoryview(buffer)[2:7]) == 3
    assert bytes(buffer) == b"..abc..."
    socket.socket.shutdown(pair.client, socket.SHUT_RDWR)
    readable(transport)
    assert transport.recv_into(memoryview(buffer)) == 0


def test_buffers_leave_one_behind_the_other(pair: Pair) -> None:
    transport, _ = pair.take()
    buffers: list[Buffer] = [b"head", memoryview(b"payload")[:3], bytearray(b"tail"), b""]
    assert transport.sendv(buffers) == 11
    assert receive_all(pair.client, 11) == b"headpaytail"


def test_more_buffers_than_one_call_takes() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = Transport(ours)
        buffers: list[Buffer] = [bytes([65 + number]) for number in range(26)]
        left = list(buffers)
        while left:
            sent = transport.sendv(list(left))
            assert sent > 0
            del left[:sent]  # a byte each
        assert receive_all(theirs, 26) == b"".join(buffers)


def test_full_connection_takes_nothing_of_several_buffers() -> None:
    pair = Pair("plain")
    transport, _ = pair.take()
    fill(transport)
    assert transport.sendv([b"x", b"y"]) == 0
    pair.close()


def test_closed_socket_is_an_error_and_no_other_connection(ends: tuple[PlainSocket, socket.socket]) -> None:
    """Its number may belong to another by then."""
    ours, _ = ends
    ours.sock.close()
    one, other = socket.socketpair()
    with one, other:
        other.sendall(b"not yours")
        for call in (
            lambda: ours.recv(10),
            lambda: ours.recv_into(memoryview(bytearray(10))),
            lambda: ours.send(b"x"),
            lambda: ours.sendv([b"x", b"y"]),
        ):
            with pytest.raises(OSError, match="Bad file descriptor"):
                call()


def test_peer_that_is_gone_is_an_error(ends: tuple[PlainSocket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.close()
    assert ours.recv(10) == b""
    with pytest.raises(BrokenPipeError):
        ours.send(b"x")
    with pytest.raises(BrokenPipeError):
        ours.sendv([b"x", b"y"])
    with pytest.raises(BrokenPipeError):
        ours.send(memoryview(b"x"))


class Noting(socket.socket):
    """A socket with calls of its own, which are the ones to be made."""

    def __init__(self, fd: int) -> None:
        super().__init__(fileno=fd)
        self.calls: list[str] = []

    def recv(self, *args: int) -> bytes:
        self.calls.append("recv")
        return super().recv(*args)

    def send(self, data: bytes, *args: int) -> int:  # type: ignore[override]
        self.calls.append("send")
        return super().send(data, *args)


def test_socket_with_calls_of_its_own_keeps_them() -> None:
    one, theirs = socket.socketpair()
    with theirs, Noting(one.detach()) as sock:
        sock.setblocking(False)
        ours = PlainSocket(sock)
        assert ours.recv(10) is None
        assert ours.send(b"x") == 1
        assert ours.sendv([b"y", b"z"]) == 2
        theirs.sendall(b"abc")
        assert ours.recv_into(memoryview(bytearray(2))) == 2
        assert ours.recv(10) == b"c"
        assert sock.calls == ["recv", "send", "recv"]
