"""CherryPy's engine: what its stop, start, restart and graceful() do to WebSockets; wrong settings and it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cherrypy.process.wspbus import Bus
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.entrances.wire import ask, build
from tests.matrix.columns import connect as connect_raw
from tests.matrix.columns import count_at_rest, end_of
from tests.promises.wire import TEXT, close_frame, frame
from tests.servers import ROOT, Server, start, wait_for
from ws4py_middleware.config import ConfigError
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool

APP = "tests.entrances.cherrypy_app:app"


@contextlib.contextmanager
def run(kind: str = "cherrypy", **options: Any) -> Iterator[Server]:
    with start(kind, APP, **options) as server:
        # It answers before that.
        wait_for(lambda: count(server, "Bus STARTED") == 1)
        yield server


@pytest.fixture(
    scope="module",
    params=[("cherrypy", False, ""), ("cherrypy", False, "own"), ("cherrypy-pyopenssl", True, "")],
    ids=["default", "own-poller", "pyopenssl"],
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind, tls, plugin = request.param
    directory = tmp_path_factory.mktemp("server")
    with run(kind, tls=tls, env={"PLUGIN": plugin}, directory=directory) as server:
        yield server
    assert "Traceback" not in server.log, server.log


def count(server: Server, line: str) -> int:
    return server.log.count(line)


def cycle(server: Server) -> None:
    """Let the engine stop and start again, and wait for that."""
    before = count(server, "Bus STARTED")
    assert server.http("/cycle").body == b"soon"
    wait_for(lambda: count(server, "Bus STARTED") > before, 15, "the engine")


def test_engine_stop_closes_with_1001_and_start_serves_again(server: Server) -> None:
    before = count(server, "Bus STARTED")
    with connect_raw(server, "/decorated") as peer:
        peer.echo()
        server.http("/cycle")
        peer.expect_close(1001)
        peer.send(close_frame(1001))
        assert end_of(peer) == ""
    wait_for(lambda: count(server, "Bus STARTED") > before, 15, "the engine")
    with connect_raw(server, "/decorated") as peer:
        peer.echo()
        peer.send(close_frame(1000))
        peer.expect_close(1000)


def test_threads_and_descriptors_do_not_grow_with_the_engines_cycles(server: Server) -> None:
    seen = []
    for _ in range(3):
        cycle(server)
        with connect_raw(server, "/decorated") as peer:
            peer.echo()
            peer.send(close_frame(1000))
            peer.expect_close(1000)
            assert end_of(peer) == ""
        seen.append((server.threads(), count_at_rest(server)))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("how", ["call", "signal"])
def test_graceful_closes_with_1012_and_takes_new_ones_meanwhile(server: Server, how: str) -> None:
    with connect_raw(server, "/decorated") as peer:
        peer.echo()
        if how == "call":
            assert server.http("/graceful").body == b"done"
        else:
            server.signal(signal.SIGUSR1)
        peer.expect_close(1012)
        with connect_raw(server, "/decorated") as new:
            peer.send(close_frame(1012))
            assert end_of(peer) == ""
            new.echo()
            new.send(close_frame(1000))
            new.expect_close(1000)


def test_restart_closes_with_1012_and_the_new_process_image_serves(server: Server) -> None:
    with connect_raw(server, "/decorated") as peer:
        peer.echo()
        before = count(server, "Bus STARTED")
        pid = server.http("/pid").body
        assert server.http("/restart").body == b"soon"
        peer.expect_close(1012)
        peer.send(close_frame(1012))
        peer.read_to_end()
    wait_for(lambda: count(server, "Bus STARTED") > before, 15, "the new image")
    assert server.http("/pid").body == pid
    with connect_raw(server, "/decorated") as peer:
        peer.echo()
        peer.send(close_frame(1000))
        peer.expect_close(1000)


def test_many_idle_sockets_leave_the_servers_two_threads_free(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect_raw(server, "/decorated")) for _ in range(50)]
        for _ in range(5):
            assert server.http("/").body == b"hello"
        for peer in peers:
            peer.echo(b"still here")


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ("max_mesage_size=1", "tools.websocket.max_mesage_size: there is no such setting; did you mean"),
        ("max_message_size=12 parsecs", "tools.websocket.max_message_size: '12 parsecs'; there is no unit"),
        ("handler_cls=ws4py_middleware:EchoWebsocket", "did you mean 'EchoWebSocket'?"),
        ("handler_cls=no_such_module:Chat", "there is no module 'no_such_module'"),
        ("handler_cls=ws4py_middleware.async_websocket:EchoWebSocket", "handler EchoWebSocket is async"),
        ("extensions=x-unknown", "tools.websocket.extensions: "),
        ("version=8", "tools.websocket.version: "),
        ("heartbeat_freq=often", "tools.websocket.heartbeat_freq: "),
    ],
)
def test_wrong_setting_stops_the_engine_from_starting_and_is_a_500_without_it(
    wrong: str, problem: str
) -> None:
    program = f"""
import cherrypy, {APP.partition(":")[0]} as site
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin
cherrypy.config.update({{"environment": "embedded", "log.screen": True}})
# Without a plugin, and under somebody else's server: the first request tells, and it tells once.
headers = {{"HTTP_HOST": "x", "HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==", "HTTP_SEC_WEBSOCKET_VERSION": "13"}}
import io
for _ in range(2):
    environ = {{"REQUEST_METHOD": "GET", "PATH_INFO": "/broken", "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.multithread": True,
        "wsgi.multiprocess": False, **headers}}
    answer = site.app(environ, lambda status, headers, exc_info=None: print("STATUS", status))
    list(answer)
    answer.close()
print("ENGINE", flush=True)
cherrypy.server.unsubscribe()
cherrypy.tree.mount(site.app)
WebSocketPlugin(cherrypy.engine).subscribe()
cherrypy.engine.start()
"""
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PLUGIN": "", "WRONG": wrong},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    before, _, engine = found.stdout.partition("ENGINE")
    assert before.count("STATUS 500") == 2, found.stdout
    assert [problem in line for line in before.splitlines()].count(True) == 1, before
    assert "Traceback" not in before
    assert problem in engine
    assert "section /broken" in engine
    assert "Bus STARTED" not in engine
    assert found.returncode != 0


def test_connection_of_a_client_that_does_not_answer_really_ends() -> None:
    with run() as server, connect_raw(server, "/decorated") as silent:
        silent.echo()
        server.http("/cycle")
        silent.expect_close(1001)
        silent.read_to_end()
        wait_for(lambda: count(server, "Bus STARTED") == 2, 15, "the engine")


def test_handler_may_stop_the_engine() -> None:
    with (
        run() as server,
        connect(f"{server.ws_url}/stopping", proxy=None) as ws,
        connect(f"{server.ws_url}/decorated", proxy=None) as other,
    ):
        ws.send("exit")
        for each in (ws, other):
            with pytest.raises(ConnectionClosed) as closed:
                each.recv(timeout=10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert server.process.wait(10) == 0


def test_request_that_is_not_done_when_the_engine_stops_ends_with_1001_too() -> None:
    with run() as server:
        pending = server.connect()
        pending.sendall(build("/slow"))
        wait_for(lambda: b"1" in server.http("/waiting").body)
        server.http("/cycle")
        answer = ask(pending, b"")
        assert (answer.status, answer.rest[2:]) == (101, b"\x03\xe9Server is shutting down")
        wait_for(lambda: count(server, "Bus STARTED") == 2)
        assert "Traceback" not in server.log


def test_plugin_is_not_needed_and_nothing_is_broadcast_then() -> None:
    with (
        start("gunicorn-gthread", APP) as server,
        connect_raw(server, "/decorated", early=frame(TEXT, b"early")) as peer,
    ):
        assert peer.read_frame().payload == b"early"
        assert server.http("/shout?text=hey").body == b"done"
        peer.echo()
        assert json.loads(server.http("/told").body)[0][0] == "EchoWebSocket"
        server.signal()
        peer.expect_close(1001)


def test_second_plugin_leaves_the_first_ones_connections_alone() -> None:
    with (
        run(env={"PLUGIN": "default", "PLUGINS": "2"}) as server,
        connect_raw(server, "/decorated") as first,
        connect_raw(server, "/decorated") as second,
    ):
        for peer in (first, second):
            peer.echo()
        before = server.fds()  # the manager has all that it needs
        server.http("/shout?text=once")
        for peer in (first, second):
            assert [peer.read_frame().payload for _ in range(2)] == [b"once", b"\x01"]
            peer.echo()
        with connect_raw(server, "/decorated") as third:
            third.echo()
            third.send(close_frame(1000))
            third.expect_close(1000)
        wait_for(lambda: server.fds() <= before)
        server.http("/cycle")
        for peer in (first, second):
            peer.expect_close(1001)
            peer.send(close_frame(1001))
            assert end_of(peer) == ""
        wait_for(lambda: count(server, "Bus STARTED") == 2, 15, "the engine")
        assert "Traceback" not in server.log


def test_wrong_setting_of_a_decorator_is_an_error_at_once() -> None:
    tool = WebSocketTool()
    tool._name, tool.namespace = "websocket", "tools"
    with pytest.raises(ConfigError, match="did you mean 'max_message_size'"):
        tool(max_mesage_size=1)
    with pytest.raises(ConfigError, match="there is no unit"):
        tool(on=True, priority=10, handler_cls="not.there:Yet", max_message_size="1 lb")


def test_plugin_that_has_unsubscribed_listens_no_more() -> None:
    bus = Bus()
    plugin = WebSocketPlugin(bus)
    channels = ["start", "stop", "handle-websocket", "websocket-broadcast"]
    plugin.subscribe()
    assert all(bus.listeners[channel] for channel in channels)
    plugin.unsubscribe()
    assert not any(bus.listeners[channel] for channel in channels)
    assert not plugin.manager.is_alive()
