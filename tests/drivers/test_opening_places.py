"""Opening: a place that a connection needs is taken just before its 101, and given back if that fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.peer import Peer, Recorder, tcp_pair
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware import admission
from ws4py_middleware.admission import find_claim
from ws4py_middleware.core.handshake import Upgrade
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.exc import HandoverError, HandshakeError
from ws4py_middleware.handover.adapter import Adapter, Located
from ws4py_middleware.opening import Opening
from ws4py_middleware.server.wsgiutils import give_up

__all__ = ["threads"]

POLICY = Policy(max_connections_per_address=1)
ENVIRON = {"REMOTE_ADDR": "203.0.113.1"}


class Server(Adapter):
    """A server that has nothing but a socket, or hides it."""

    def __init__(self, sock: socket.socket | None) -> None:
        self.sock = sock

    def locate(self, environ: Any, start_response: Any) -> Located:
        if self.sock is None:
            raise HandoverError("it is hidden")
        return Located(self.sock, lambda: b"")


@pytest.fixture(autouse=True)
def new_books() -> Iterator[None]:
    admission.disown()
    yield
    admission.disown()


def make(threads: ThreadHost, sock: socket.socket | None, websocket: Recorder | None = None) -> Opening:
    upgrade = Upgrade([("Upgrade", "websocket")])
    claim = find_claim(ENVIRON, POLICY)
    handler = websocket or Recorder()
    return Opening(dict(ENVIRON), None, Server(sock), handler, upgrade, POLICY, {}, threads.manager, claim)


def is_free() -> bool:
    return not admission._books.counts


def test_connection_that_is_opened_has_a_place_until_its_end(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    assert is_free()
    with Peer(client) as peer, server:
        make(threads, server).complete()
        assert not is_free()
        with pytest.raises(HandshakeError, match=r"203.0.113.1 has 1 WebSockets open") as info:
            make(threads, None).complete()
        assert info.value.status == 429
        assert client.recv(100).endswith(b"\r\n\r\n")
        peer.finish()
    threads.wait_until(is_free)


def test_server_that_hides_its_socket_leaves_the_place_free(threads: ThreadHost) -> None:
    for _ in range(2):
        with pytest.raises(HandoverError, match="it is hidden"):
            make(threads, None).complete()
        assert is_free()


def test_client_that_left_in_between_leaves_the_place_free(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    with server:
        Peer(client).reset()
        opening = make(threads, server)
        assert not opening.take()
    assert is_free()


def test_manager_that_does_not_take_it_leaves_the_place_free(threads: ThreadHost) -> None:
    class Refusing(Recorder):
        def _bind(self, link: Any) -> Any:
            raise ZeroDivisionError("on purpose")

    client, server = tcp_pair()
    with client, server, pytest.raises(ZeroDivisionError):
        make(threads, server, Refusing()).complete()
    assert is_free()


def test_what_no_manager_was_given_counts_for_nobody() -> None:
    websocket = Recorder()
    give_up(None)
    give_up(websocket)
    claim = find_claim(ENVIRON, POLICY)
    assert claim is not None
    claim.enter()
    websocket._claim = claim
    give_up(websocket)
    assert is_free()
