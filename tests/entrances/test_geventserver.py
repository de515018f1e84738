"""The server of gevent that ws4py had, on real sockets."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from time import monotonic
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer as StockServer

from tests.entrances import own_app
from tests.entrances.own_servers import OwnServerContract, run
from tests.matrix.columns import end_of, try_stop
from tests.promises.attacker import Peer
from tests.promises.wire import TEXT, close_frame, frame, request
from tests.servers import Server
from ws4py_middleware.server.geventserver import GEventWebSocketPool, WebSocketWSGIHandler, WSGIServer
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication
from ws4py_middleware.websocket import EchoWebSocket

KINDS = [(kind, tls) for kind in ("ws4py-gevent", "ws4py-gevent-unpatched") for tls in (False, True)]


@pytest.fixture(scope="class", params=KINDS, ids=lambda param: f"{param[0]}-{'wss' if param[1] else 'ws'}")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with run(*request.param) as server:
        yield server


class TestServer(OwnServerContract):
    pass


@pytest.mark.parametrize(("kind", "tls"), KINDS)
def test_stop_tells_all_peers_1001_and_the_process_ends(kind: str, tls: bool) -> None:
    with run(kind, tls) as server:
        assert try_stop(server, signal.SIGTERM) == "1001"
        assert "Traceback" not in server.log


# --- in this process ---------------------------------------------------------------------------------


@pytest.fixture
def local() -> Iterator[WSGIServer]:
    server = WSGIServer(("127.0.0.1", 0), own_app.app, log=None)
    server.start()
    yield server
    server.stop()


def dial(server: StockServer) -> Any:
    assert server.server_port
    return gevent.socket.create_connection(("127.0.0.1", server.server_port), timeout=5)


def connect(server: StockServer, path: str = "/echo") -> Peer:
    peer = Peer(dial(server))
    peer.send(request(path))
    assert peer.read_head() == 101
    return peer


def count_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("path", ["/echo", "/middleware"])
def test_stop_ends_each_connection_in_order_and_leaves_nothing(local: WSGIServer, path: str) -> None:
    with connect(local, path) as peer:  # what is made only once is there now
        peer.echo()
    local.stop()
    before = count_descriptors()
    local.start()
    peers = [connect(local, path) for _ in range(10)]
    for peer in peers:
        peer.echo()
    assert len(local.pool) == len(local.pool.manager) == 10
    stopping = gevent.spawn(local.stop)
    for peer in peers:
        assert peer.expect_close(1001).payload[2:] == b"Server is shutting down"
        peer.send(close_frame(1001))
        assert end_of(peer) == ""
        peer.sock.close()
    stopping.get(timeout=5)
    assert len(local.pool) == 0
    assert count_descriptors() == before


def test_stop_drops_peers_that_do_not_answer_and_returns_in_time(local: WSGIServer) -> None:
    with connect(local) as silent, connect(local) as full:
        full.sock.setsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_RCVBUF, 4096)
        full.send(frame(TEXT, b"x" * 500_000) * 4)
        began = monotonic()
        local.stop(timeout=0.2)
        assert monotonic() - began < 4
        assert len(local.pool) == 0
        silent.expect_close(1001)
        assert silent.read_to_end() == b""


def test_stop_waits_once_for_hooks_that_do_not_return() -> None:
    def stuck(ws: Any) -> None:
        gevent.sleep(60)

    class Stuck(EchoWebSocket):
        def received_message(self, message: Any) -> None:
            gevent.sleep(60)

    for handler in (stuck, Stuck):
        server = WSGIServer(("127.0.0.1", 0), WebSocketWSGIApplication(handler_cls=handler), log=None)
        server.start()
        with connect(server, "/") as peer:
            peer.send(frame(TEXT, b"wait"))
            gevent.sleep(0.05)
            began = monotonic()
            server.stop(timeout=2)
            # One second more for the manager, which has taken the connection away.
            assert monotonic() - began < 4
            assert len(server.pool) == 0
            peer.expect_close(1001)


def test_after_stop_a_request_that_is_still_on_its_way_is_refused(local: WSGIServer) -> None:
    with Peer(dial(local)) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + request("/echo")[:20])
        assert peer.read_head() == 200
        while peer.data != b"hello":
            assert peer.fill()
        peer.data = b""
        local.stop()
        peer.send(request("/echo")[20:])
        assert peer.read_head() == 503
        assert b"about to restart" in peer.read_to_end()


def test_server_can_be_started_again(local: WSGIServer) -> None:
    for _ in range(2):
        with connect(local) as peer:
            peer.echo()
        local.stop()
        local.start()


def test_requests_may_have_a_pool_of_their_own() -> None:
    requests = Pool(5)
    server = WSGIServer(("127.0.0.1", 0), own_app.app, log=None, spawn=requests)
    server.start()
    with connect(server) as peer:
        peer.echo()
        assert len(server.pool) == 1
        assert len(requests) == 0, "the request is done"
        with dial(server) as idle:
            idle.sendall(b"GET / HTTP/1.1\r\n")
            with gevent.Timeout(5):
                while not requests:
                    gevent.sleep(0.001)
            stopping = gevent.spawn(server.stop, timeout=0.1)
            peer.expect_close(1001)
            stopping.get(timeout=5)
            assert len(requests) == 0


# --- the pool ------------------------------------------------------------------------------------------


class Ending(EchoWebSocket):
    ends: list[Any]

    def closed(self, code: int, reason: str | None = None) -> None:
        self.ends.append((code, reason))


def track(pool: GEventWebSocketPool) -> tuple[Peer, Ending, Any]:
    """As a server of one's own does that has made the WebSocket itself."""
    client, ours = gevent.socket.socketpair()
    client.settimeout(5)
    websocket = Ending(sock=ours)
    websocket.ends = []
    return Peer(client), websocket, pool.track(websocket)


def test_tracked_websocket_has_the_greenlet_that_is_returned() -> None:
    pool = GEventWebSocketPool()
    peer, websocket, greenlet = track(pool)
    with peer:
        peer.echo()
        assert list(pool) == [greenlet]
        peer.send(close_frame(1000, b"bye"))
        peer.expect_close(1000)
        greenlet.join(timeout=5)
        assert (greenlet.dead, len(pool), websocket.ends) == (True, 0, [(1000, "bye")])
    assert pool.join(timeout=5)


def test_greenlet_that_is_killed_ends_the_connection() -> None:
    pool = GEventWebSocketPool()
    peer, websocket, _ = track(pool)
    with peer:
        peer.echo()
        pool.kill(block=True, timeout=5)
        assert peer.read_to_end() == b""
    assert (len(pool), len(pool.manager), websocket.ends) == (0, 0, [(1006, "Going away")])


def test_clear_closes_all_with_1001() -> None:
    pool = GEventWebSocketPool()
    peer, websocket, _ = track(pool)
    with peer:
        clearing = gevent.spawn(pool.clear)
        peer.expect_close(1001)
        peer.send(close_frame(1001))
        clearing.get(timeout=5)
    assert (len(pool), websocket.ends) == (0, [(1001, "")])


def test_size_of_the_pool_is_the_most_that_are_taken() -> None:
    server = WSGIServer(("127.0.0.1", 0), own_app.app, log=None)
    server.pool = GEventWebSocketPool(1)
    server.start()
    with connect(server) as peer:
        peer.echo()
        with Peer(dial(server)) as second:
            second.send(request("/echo"))
            assert second.read_head() == 503
        peer.echo()
    server.stop()


# --- beside ws4py's way ----------------------------------------------------------------------------------


def test_handler_class_serves_websockets_on_gevents_own_server_too() -> None:
    server = StockServer(("127.0.0.1", 0), own_app.app, log=None, handler_class=WebSocketWSGIHandler)
    server.start()
    with connect(server) as peer:
        peer.echo()
        peer.send(close_frame(1000))
        peer.expect_close(1000)
        assert end_of(peer) == ""
    server.stop()


def test_application_of_somebody_else_that_puts_a_thing_into_the_environ_is_told() -> None:
    said: list[str] = []

    class Log:
        def write(self, text: str) -> None:
            said.append(text)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["ws4py.websocket"] = "not one"
        start_response("101 Switching Protocols", [("Upgrade", "websocket"), ("Connection", "Upgrade")])
        return []

    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=Log())
    hub: Any = gevent.get_hub()
    stream, hub.exception_stream = hub.exception_stream, Log()
    try:
        server.start()
        with connect(server) as peer:
            assert peer.read_to_end() == b""
    finally:
        hub.exception_stream = stream
        server.stop()
    assert "it is a ws4py_middleware WebSocket" in "".join(said)
