"""docs/maintaining/adding-a-server.md: its adapter, on the server that it is written for."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from docs.code.adapter.tiny import TinyServer
from tests.entrances.in_process import site
from tests.entrances.wire import build
from tests.promises.attacker import Peer
from tests.promises.wire import TEXT, frame
from tests.servers import wait_for
from ws4py_middleware import EchoWebSocket, WebSocketMiddleware
from ws4py_middleware.handover import servers


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyServer]:
    monkeypatch.setattr(servers, "_adapters", list(servers._adapters))
    # It registers itself when it is imported, for this test only.
    monkeypatch.delitem(sys.modules, "docs.code.adapter.adapter", raising=False)
    importlib.import_module("docs.code.adapter.adapter")
    server = TinyServer(WebSocketMiddleware(site, {"/echo": EchoWebSocket}))
    yield server
    server.stop()
    assert not any(thread.is_alive() for thread in server.threads)


def connect(server: TinyServer, behind: bytes = b"") -> Peer:
    peer = Peer(socket.create_connection(server.listener.getsockname(), timeout=5))
    peer.send(build("/echo") + behind)
    return peer


# [early]
def test_what_was_read_ahead_comes_first(tiny: TinyServer) -> None:
    with connect(tiny, frame(TEXT, b"early")) as peer:
        assert peer.read_head() == 101
        assert peer.read_frame().payload == b"early"
        peer.echo(b"late")


# [/early]


# [refused]
def test_refusal_names_the_server_and_why(tiny: TinyServer) -> None:
    tiny.has_http2 = True
    with connect(tiny, frame(TEXT, b"early")) as peer:
        assert peer.read_head() == 501
        assert b"Tiny does not give up its connection: it speaks HTTP/2" in peer.read_to_end()


# [/refused]


def test_server_finds_nothing_to_take_for_a_request(tiny: TinyServer) -> None:
    left = []
    app = tiny.app

    def watched(environ: Any, start_response: Any) -> Any:
        answer = app(environ, start_response)
        left.append(bytes(environ["tiny.connection"].buffer))
        return answer

    tiny.app = watched
    with connect(tiny, frame(TEXT, b"early")) as peer:
        assert peer.read_head() == 101
        assert peer.read_frame().payload == b"early"
        wait_for(lambda: bool(left), what="the answer of the application")
        assert left == [b""]


def test_what_the_server_does_not_have_is_a_501_that_says_what_to_do(tiny: TinyServer) -> None:
    app = tiny.app

    def without_buffer(environ: Any, start_response: Any) -> Any:
        del environ["tiny.connection"].buffer  # as Tiny 2.0 might
        return app(environ, start_response)

    tiny.app = without_buffer
    with connect(tiny) as peer:
        assert peer.read_head() == 501
        assert b"it keeps its connections elsewhere than Tiny 1.0" in peer.read_to_end()
