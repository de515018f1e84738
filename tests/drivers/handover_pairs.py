"""A server's socket of every flavour, with a client connected to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.socket
import gevent.ssl
import pytest
from OpenSSL import SSL

from tests.servers import certificates, client_context, server_context
from ws4py_middleware.handover import Transport, take

FLAVOURS = ("plain", "tls", "gevent", "gevent-tls", "openssl")
TLS_FLAVOURS = ("tls", "gevent-tls", "openssl")


class Pair:
    """A server's socket of some flavour, and a plain or TLS client that is connected to it."""

    def __init__(self, flavour: str, high: bool = False) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            raw_client = socket.create_connection(listener.getsockname(), timeout=10)
            accepted, _ = listener.accept()
        accepted.settimeout(10)
        if high:
            fd = fcntl.fcntl(accepted.fileno(), fcntl.F_DUPFD_CLOEXEC, 1100)
            accepted.close()
            accepted = socket.socket(fileno=fd)
        self.client: socket.socket = raw_client
        self.server: Any = accepted
        if flavour.startswith("gevent"):
            self.server = gevent.socket.socket(fileno=accepted.detach())
        if flavour in TLS_FLAVOURS:
            handshake = threading.Thread(target=self.wrap_client)
            handshake.start()
            self.server = WRAP[flavour](self.server)
            handshake.join()

    def wrap_client(self) -> None:
        self.client = client_context().wrap_socket(self.client, server_hostname="localhost")

    def take(self) -> tuple[Transport, Any]:
        self.transport, self.sink = take(self.server)
        return self.transport, self.sink

    def close(self) -> None:
        self.client.close()
        self.server.close()
        if hasattr(self, "transport"):
            self.transport.close()
        if hasattr(self, "sink"):
            self.sink.close()


def wrap_gevent(sock: Any) -> Any:
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates()[:2])
    return context.wrap_socket(sock, server_side=True)


def wrap_openssl(sock: socket.socket) -> Any:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_file(str(certificates()[0]))
    context.use_privatekey_file(str(certificates()[1]))
    # As an accepting cheroot has it: pyOpenSSL itself does not know timeouts.
    sock.settimeout(None)
    connection = SSL.Connection(context, sock)
    connection.set_accept_state()
    connection.do_handshake()
    return connection


WRAP: dict[str, Callable[[Any], Any]] = {
    "tls": lambda sock: server_context().wrap_socket(sock, server_side=True),
    "gevent-tls": wrap_gevent,
    "openssl": wrap_openssl,
}


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pair(flavour: str) -> Iterator[Pair]:
    with contextlib.closing(Pair(flavour)) as made:
        yield made


@pytest.fixture(params=TLS_FLAVOURS)
def tls_pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with contextlib.closing(Pair(request.param)) as made:
        yield made


def readable(transport: Transport) -> None:
    poller = select.poll()
    poller.register(transport.fileno(), select.POLLIN)
    assert poller.poll(5000)


def receive(transport: Transport, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not transport.pending():
            readable(transport)
        data += transport.recv() or b""
    return data


def receive_all(sock: socket.socket, size: int) -> bytes:
    chunks = []
    while size > 0:
        chunks.append(sock.recv(65536))
        assert chunks[-1]
        size -= len(chunks[-1])
    return b"".join(chunks)


def raw_receive(sock: socket.socket, size: int) -> None:
    for _ in range(size):
        assert socket.socket.recv(sock, size)


def fill(transport: Transport) -> bytes:
    """Send until nothing is taken; return what was, and what is bound to be."""
    block, sent = os.urandom(200_000), b""
    while taken := transport.send(memoryview(block)):
        sent += block[:taken]
        block = block[taken:] + os.urandom(taken)
    return sent + block[: getattr(transport, "committed", 0)]
