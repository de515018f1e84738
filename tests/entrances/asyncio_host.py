"""Servers of asyncio for a test, in a loop in a thread of its own, and raw clients of theirs."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.drivers.peer import BOUND, EchoRecorder, Peer, Recorder, wait_until
from tests.drivers.tasks import TaskHost
from tests.drivers.test_tasks_async import AsyncEchoRecorder
from tests.entrances.wire import Answer, ask, build, parse
from tests.servers.tls import client_context, server_context
from ws4py_middleware.server.asyncioserver import serve


class AsyncioHost(TaskHost):
    """A loop, a manager, and a server."""

    port: int
    tls: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.descriptors = count_descriptors()
        self.servers: list[asyncio.Server] = []

    def serve(self, handler: Any, *, tls: bool = False, **options: Any) -> None:
        """Listen; what dials next gets this server."""
        self.tls = tls
        context = server_context() if tls else None
        server = self.run(serve(handler, "127.0.0.1", 0, manager=self.manager, ssl=context, **options))
        self.listen(server)

    def listen(self, server: asyncio.Server) -> None:
        self.servers.append(server)
        self.port = server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://localhost:{self.port}/chat?room=blue"

    @property
    def client_context(self) -> ssl.SSLContext | None:
        return client_context() if self.tls else None

    def dial(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=BOUND)
        return client_context().wrap_socket(sock, server_hostname="localhost") if self.tls else sock

    def ask(self, request: bytes) -> Answer:
        """Send a request, and read the one answer until the end of the connection."""
        return ask(self.dial(), request)

    def open(self, changes: Mapping[str, str | None] | None = None, early: bytes = b"") -> Peer:
        """Make the opening handshake, with frames right behind it."""
        peer = open_with(self.dial(), build("/chat?room=blue", changes) + early)
        self.peers.append(peer)
        return peer

    def close(self) -> None:
        for server in self.servers:
            self.call(server.close)
        for peer in self.peers:
            peer.sock.close()
        self.wait_until(lambda: count_descriptors() <= self.descriptors)
        super().close()


@pytest.fixture
def host() -> Iterator[AsyncioHost]:
    before = set(threading.enumerate())
    host = AsyncioHost()
    yield host
    host.close()
    wait_until(lambda: set(threading.enumerate()) <= before)


@pytest.fixture(params=[EchoRecorder, AsyncEchoRecorder], ids=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> type[Recorder]:
    kind: type[Recorder] = request.param
    return kind


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def open_with(sock: socket.socket, request: bytes) -> Peer:
    """Make the opening handshake on a connection."""
    sock.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        assert chunk, data
        data += chunk
    answer = parse(data)
    assert answer.status == 101, answer
    peer = Peer(sock)
    peer._buffer += answer.rest
    return peer


def open_at(port: int) -> Peer:
    """Make the opening handshake with whoever listens there."""
    return open_with(socket.create_connection(("127.0.0.1", port), timeout=BOUND), build("/"))
