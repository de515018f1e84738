"""Sockets of every flavour, taken from their owner or our own."""

from __future__ import annotations

import os
import resource
import socket

import gevent
import gevent.socket
import gevent.ssl
import pytest
from OpenSSL import SSL

from tests.drivers.handover_pairs import (
    TLS_FLAVOURS,
    Pair,
    flavour,
    pair,
    receive,
    tls_pair,
)
from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover import from_socket, take

__all__ = ["flavour", "pair", "tls_pair"]


def test_from_socket_wraps_every_flavour_and_closes_it(flavour: str, pair: Pair) -> None:
    transport = from_socket(pair.server)
    assert transport.tls is (flavour in TLS_FLAVOURS)
    assert transport.gevent is flavour.startswith("gevent")
    assert transport.send(b"down") == 4
    assert pair.client.recv(4) == b"down"
    pair.client.sendall(b"up")
    assert receive(transport, 2) == b"up"
    transport.close()
    gevent.sleep(0)
    assert pair.server.fileno() == -1
    assert pair.client.recv(1) == b""


def test_from_socket_of_something_else_raises_typeerror() -> None:
    with pytest.raises(TypeError, match="not a socket"):
        from_socket(object())


# --- take -----------------------------------------------------------------------------------------


def test_taken_socket_is_a_client_that_ended_and_swallows(flavour: str, pair: Pair) -> None:
    server = pair.server
    fd = server.fileno()
    transport, sink = pair.take()
    assert transport.gevent is flavour.startswith("gevent")
    assert transport.tls is (flavour in TLS_FLAVOURS)
    assert transport.fileno() == fd
    assert server.fileno() not in (-1, fd)
    # What servers do after the application returned.
    server.settimeout(2.0)
    assert server.gettimeout() == 2.0
    server.setblocking(True)
    assert server.recv(100) == b""
    assert server.recv_into(bytearray(10)) == 0
    server.sendall(b"HTTP/1.1 200 OK\r\n")
    assert server.send(b"x") == 1
    assert sink.recv(100) == b"HTTP/1.1 200 OK\r\nx"
    with pytest.raises(BlockingIOError):
        sink.recv(1)
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
    server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    (getattr(server, "sock_shutdown", None) or server.shutdown)(socket.SHUT_WR)
    assert sink.recv(1) == b""
    server.close()
    assert server.fileno() == -1
    # And the client has seen nothing of it.
    assert transport.send(b"frame") == 5
    assert pair.client.recv(100) == b"frame"
    pair.client.sendall(b"frame")
    assert receive(transport, 5) == b"frame"


@pytest.mark.parametrize("flavour", ["tls", "openssl"])
def test_taken_tls_socket_answers_the_calls_of_tls(flavour: str, pair: Pair) -> None:
    server = pair.server
    _, sink = pair.take()
    assert server.read(10) == b""
    assert server.write(b"abc") == 3
    assert server.pending() == 0
    assert sink.recv(10) == b"abc"
    server.do_handshake()
    if flavour == "openssl":
        assert server.shutdown() is True
        assert server.sendall(b"abc") == 3
    else:
        assert server.read(10, bytearray(10)) == 0
        assert server.unwrap() is server
        assert server.getblocking() is (server.timeout != 0)
        with server:
            pass
        assert server.fileno() == -1
        assert server.detach() == -1


@pytest.mark.parametrize("flavour", ["plain", "tls", "gevent", "gevent-tls"])
def test_file_of_a_taken_socket_gives_its_buffer_and_ends(pair: Pair) -> None:
    file = pair.server.makefile("rb")
    pair.client.sendall(b"line\r\nearly frames")
    assert file.readline() == b"line\r\n"
    transport, sink = pair.take()
    assert file.read() == b"early frames"
    assert transport.recv() is None
    file.close()
    pair.server.close()
    gevent.sleep(0)
    assert sink.recv(1) == b""


def test_socket_of_an_unknown_type_is_refused_untouched() -> None:
    # As eventlet has it: a class of its own on top of the stdlib's.
    green = type("GreenSocket", (socket.socket,), {"__module__": "eventlet.greenio.base"})
    ours, theirs = socket.socketpair()
    strange = green(fileno=ours.detach())
    with theirs, strange:
        with pytest.raises(HandoverError, match=r"eventlet\.greenio\.base\.GreenSocket") as caught:
            take(strange)
        assert caught.value.status == 501
        theirs.sendall(b"untouched")
        assert strange.recv(9) == b"untouched"
    with pytest.raises(HandoverError, match="object"):
        take(object())


@pytest.mark.parametrize("flavour", ["tls", "openssl"])
def test_tls_socket_is_taken_once(pair: Pair) -> None:
    pair.take()
    with pytest.raises(HandoverError, match="already"):
        take(pair.server)


@pytest.mark.parametrize("flavour", ["plain", "gevent", "tls", "gevent-tls"])
def test_closed_socket_is_refused(pair: Pair) -> None:
    pair.server.close()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(HandoverError, match="closed"):
        take(pair.server)
    assert len(os.listdir("/proc/self/fd")) == before


def test_openssl_connection_of_another_make_is_refused_untouched() -> None:
    connection = SSL.Connection(SSL.Context(SSL.TLS_SERVER_METHOD))
    with pytest.raises(HandoverError, match="not as expected"):
        take(connection)
    assert type(connection) is SSL.Connection


def test_socket_is_refused_untouched_when_there_are_no_descriptors(pair: Pair) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(HandoverError) as caught:
            take(pair.server)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.status == 503
    assert dict(caught.value.headers) == {"Retry-After": "5"}
    pair.client.sendall(b"untouched")
    assert pair.server.recv(9) == b"untouched"
