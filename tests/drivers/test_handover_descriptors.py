"""A connection that is known by its descriptor only."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from tests.matrix.columns import connect
from tests.servers import start
from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover import take_fd


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """(the server's end, the client's)."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(5)
        yield ours, theirs


def count() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def free_descriptors(number: int) -> Iterator[None]:
    """Leave the process as many descriptors as that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probes = [os.open(os.devnull, os.O_RDONLY) for _ in range(number + 1)]
    for probe in probes:
        os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probes[-1], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("gevent", [True, False])
def test_number_is_a_client_that_ended_and_swallows(
    pair: tuple[socket.socket, socket.socket], blocking: bool, gevent: bool
) -> None:
    server, client = pair
    server.setblocking(blocking)
    fd = server.fileno()
    transport, sink = take_fd(fd, gevent=gevent)
    with contextlib.closing(transport), contextlib.closing(sink):
        assert transport.gevent is gevent
        assert transport.fileno() != fd == server.fileno()
        assert os.get_blocking(fd) is blocking, "or the server would wait where it never did"
        assert os.get_inheritable(fd) is os.get_inheritable(transport.fileno()) is False
        assert os.read(fd, 100) == b""
        assert os.write(fd, b"HTTP/1.1 200 OK\r\n") == 17
        assert sink.recv(100) == b"HTTP/1.1 200 OK\r\n"
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        assert sink.recv(100) == b""
        assert transport.send(b"frame") == 5
        assert client.recv(100) == b"frame"
        client.sendall(b"frame")
        assert transport.recv() == b"frame"


def test_what_is_no_open_socket_is_refused() -> None:
    reader, writer = os.pipe()
    before = count()
    with pytest.raises(HandoverError, match=r"no socket for the hand-over: .*non-socket") as caught:
        take_fd(writer)
    assert caught.value.status == 501
    assert count() == before
    os.write(writer, b"untouched")
    assert os.read(reader, 9) == b"untouched"
    os.close(reader)
    os.close(writer)
    with pytest.raises(HandoverError, match="Bad file descriptor"):
        take_fd(writer)
    assert count() == before - 2


@pytest.mark.parametrize("number", [0, 1, 2])
def test_out_of_descriptors_is_refused_untouched(
    pair: tuple[socket.socket, socket.socket], number: int
) -> None:
    server, client = pair
    before = count()
    with free_descriptors(number), pytest.raises(HandoverError) as caught:
        take_fd(server.fileno())
    assert caught.value.status == 503
    assert dict(caught.value.headers) == {"Retry-After": "5"}
    assert count() == before
    client.sendall(b"untouched")
    assert server.recv(9) == b"untouched"


def test_three_descriptors_are_enough_and_one_is_kept(pair: tuple[socket.socket, socket.socket]) -> None:
    server, _ = pair
    before = count()
    with free_descriptors(3):
        transport, sink = take_fd(server.fileno())
    assert count() == before + 2
    sink.close()
    transport.close()
    assert count() == before


@pytest.mark.parametrize("kind", ["waitress", "uwsgi-http-socket", "uwsgi-http", "uwsgi-gevent"])
def test_servers_that_watch_the_number_stay_at_rest(kind: str) -> None:
    with start(kind, "tests.matrix.wsgi_app:app") as server, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect(server)) for _ in range(50)]
        for peer in peers:
            peer.echo()
        before, end = server.cpu_time(), time.monotonic() + 0.5
        while time.monotonic() < end:
            time.sleep(0.05)
        # A loop that finds a dead connection ready again and again takes all of the half second.
        assert server.cpu_time() - before <= 0.1
        for peer in peers:
            peer.echo()
