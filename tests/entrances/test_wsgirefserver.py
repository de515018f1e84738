"""The server of wsgiref that ws4py had, on real sockets."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any
from wsgiref import util
from wsgiref.simple_server import WSGIServer as StockServer
from wsgiref.simple_server import make_server

import pytest

from tests.entrances import own_app
from tests.entrances.own_servers import OwnServerContract, run
from tests.matrix.columns import end_of, try_stop
from tests.promises.attacker import Peer
from tests.promises.wire import TEXT, close_frame, frame, request
from tests.servers import Server, wait_for
from ws4py_middleware.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer

KINDS = [("ws4py-wsgiref", False), ("ws4py-wsgiref", True)]


@pytest.fixture(scope="class", params=KINDS, ids=lambda param: f"{param[0]}-{'wss' if param[1] else 'ws'}")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with run(*request.param) as server:
        yield server


class TestServer(OwnServerContract):
    pass


@pytest.mark.parametrize(("kind", "tls"), KINDS)
def test_server_close_tells_all_peers_1001_and_the_process_ends(kind: str, tls: bool) -> None:
    with run(kind, tls) as server:
        assert try_stop(server, signal.SIGTERM) == "1001"
        assert "Traceback" not in server.log


# --- in this process ---------------------------------------------------------------------------------


class Quiet(WebSocketWSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextlib.contextmanager
def serve(
    cls: type[StockServer] = WSGIServer,
    handler: type[WebSocketWSGIRequestHandler] = Quiet,
    app: Any = own_app.app,
) -> Iterator[Any]:
    server = make_server("127.0.0.1", 0, app, server_class=cls, handler_class=handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def connect(server: StockServer, path: str = "/echo") -> Peer:
    peer = Peer(socket.create_connection(("127.0.0.1", server.server_port), timeout=5))
    peer.send(request(path))
    assert peer.read_head() == 101
    return peer


def count_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("path", ["/echo", "/middleware"])
def test_server_close_ends_each_connection_in_order_and_leaves_nothing(path: str) -> None:
    before = count_descriptors()
    threads = threading.active_count()
    with serve() as server:
        peers = [connect(server, path) for _ in range(10)]
        for peer in peers:
            peer.echo()
        assert len(server.manager) == 10
        closing = threading.Thread(target=server.server_close)
        closing.start()
        for peer in peers:
            assert peer.expect_close(1001).payload[2:] == b"Server is shutting down"
            peer.send(close_frame(1001))
            assert end_of(peer) == ""
            peer.sock.close()
        closing.join(5)
        assert server.manager is None
    assert threading.active_count() == threads
    wait_for(lambda: count_descriptors() == before)


def test_server_close_drops_peers_that_do_not_answer() -> None:
    with serve() as server, connect(server) as silent:
        silent.echo()
        server.manager.shutdown_timeout = 0.2
        began = monotonic()
        server.server_close()
        assert monotonic() - began < 3
        silent.expect_close(1001)
        assert silent.read_to_end() == b""


def test_manager_is_there_when_it_was_asked_for_or_with_the_first_websocket() -> None:
    with serve() as server:
        manager: Any = server.manager
        assert manager is None
        manager = server.initialize_websockets_manager()
        assert server.initialize_websockets_manager() is manager is server.manager
        assert manager.is_alive()
        with connect(server):
            wait_for(lambda: len(manager) == 1)
    assert not manager.is_alive()
    with serve() as server, connect(server) as peer:
        peer.echo()
        assert len(server.manager) == 1


def test_link_websocket_to_server_may_be_overridden() -> None:
    linked: list[Any] = []

    class Tracking(WSGIServer):
        def link_websocket_to_server(self, ws: Any) -> None:
            linked.append(ws)
            super().link_websocket_to_server(ws)

    with serve(Tracking) as server, connect(server) as peer:
        peer.echo()
        assert [ws.peer_address for ws in linked] == [peer.sock.getsockname()]
        assert [ws.local_address for ws in linked] == [server.server_address]


def test_threads_may_be_mixed_in() -> None:
    with serve(ThreadingServer) as server:
        with socket.create_connection(server.server_address, timeout=5) as idle:
            idle.sendall(b"GET ")
            with connect(server) as peer:
                peer.echo()


def test_request_handler_serves_websockets_on_wsgirefs_own_server_too() -> None:
    with serve(StockServer) as server, connect(server) as peer:
        peer.echo()
        peer.send(close_frame(1000))
        peer.expect_close(1000)
        assert end_of(peer) == ""


def test_line_that_is_too_long_and_a_head_that_is_none_are_refused() -> None:
    with serve() as server:
        for data, status in (
            (b"GET /" + b"x" * 70_000, b"414"),
            (b"GET / HTTP/1.1 x\r\n", b"Error code: 400"),
        ):
            with Peer(socket.create_connection(server.server_address, timeout=5)) as peer:
                with contextlib.suppress(ConnectionError):
                    peer.send(data + b"\r\n\r\n")
                assert status in peer.read_to_end()


def test_plain_answers_are_as_on_wsgirefs_own_server() -> None:
    with serve() as server, Peer(socket.create_connection(server.server_address, timeout=5)) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = peer.read_to_end()
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nhello")


def test_keys_have_left_the_environ_and_wsgiref_is_not_patched() -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append(environ)
        assert environ["ws4py.socket"].getpeername()
        return own_app.app(environ, start_response)

    with serve(app=app) as server, connect(server) as peer:
        peer.send(frame(TEXT, b"hello"))
        assert peer.read_frame().payload == b"hello"
    assert [key for key in seen[0] if key.startswith("ws4py")] == []
    assert util.is_hop_by_hop("Upgrade")


def test_application_of_ws4pys_own_kind_is_served() -> None:
    """It does by hand what the contract says: with the socket, hop-by-hop headers and a websocket."""

    def app(environ: Any, start_response: Any) -> Any:
        from tests.promises.wire import ACCEPT
        from ws4py_middleware.websocket import EchoWebSocket

        headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", ACCEPT.decode()),
        ]
        start_response("101 Switching Protocols", headers)
        environ["ws4py.websocket"] = EchoWebSocket(environ["ws4py.socket"], None, None, environ.copy())
        return []

    with serve(app=app) as server:
        with Peer(socket.create_connection(server.server_address, timeout=5)) as peer:
            peer.send(request("/") + frame(TEXT, b"early"))
            assert peer.read_head() == 101
            assert peer.read_frame().payload == b"early"
            peer.echo()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_within_a_request_ends_the_server_and_an_error_does_not(error: type[BaseException]) -> None:
    raised: list[type[BaseException]] = [ZeroDivisionError, error]

    def app(environ: Any, start_response: Any) -> Any:
        raise raised.pop(0)

    class Silent(Quiet):
        def get_stderr(self) -> Any:
            return io.StringIO()

    with make_server("127.0.0.1", 0, app, server_class=WSGIServer, handler_class=Silent) as server:
        with Peer(socket.create_connection(("127.0.0.1", server.server_port), timeout=5)) as peer:
            peer.send(request("/"))
            server.handle_request()
            assert peer.read_head() == 500
        with Peer(socket.create_connection(("127.0.0.1", server.server_port), timeout=5)) as peer:
            peer.send(request("/"))
            with pytest.raises(error):
                server.handle_request()
