"""The adapters in this process: what they refuse, and that they touch nothing then."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import gevent.pywsgi
import gevent.socket
import pytest
from cheroot.wsgi import Server as CherootServer
from gunicorn.config import Config
from gunicorn.http import wsgi as gunicorn_wsgi
from gunicorn.http.parser import RequestParser
from werkzeug.serving import make_server as make_werkzeug_server

from tests.drivers.handover_app import HEAD, app
from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover import Adapter, Taken, find, register, servers

REQUEST = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

Environ = dict[str, Any]


@pytest.fixture
def gunicorn() -> Iterator[tuple[Environ, Any, socket.socket]]:
    """A request as gunicorn's parser and environ have it, without a worker around them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(REQUEST % b"/ws" + b"early")
        config = Config()
        request = next(RequestParser(config, ours, ("127.0.0.1", 1)))
        response, environ = gunicorn_wsgi.create(request, ours, ("127.0.0.1", 1), ("127.0.0.1", 2), config)
        yield environ, response, theirs


def check_untouched(environ: Environ, peer: socket.socket) -> None:
    peer.sendall(b"untouched")
    assert environ["gunicorn.socket"].recv(9) == b"untouched"


def test_gunicorn_gives_the_early_bytes_and_logs_101(gunicorn: tuple[Environ, Any, socket.socket]) -> None:
    environ, response, peer = gunicorn
    adapter = find(environ, response.start_response)
    taken = adapter.detach(environ, response.start_response)
    with contextlib.closing(taken.transport), contextlib.closing(taken.sink):
        assert taken.early == b"early"
        assert list(adapter.finish(environ, response.start_response)) == []
        assert response.status == "101 Switching Protocols"
        assert response.should_close()
        peer.sendall(b"late")
        assert taken.transport.recv() == b"late"


def test_flavour_is_known_before_anything_is_taken(gunicorn: tuple[Environ, Any, socket.socket]) -> None:
    environ, response, peer = gunicorn
    adapter = find(environ, response.start_response)
    assert adapter.is_gevent(environ, response.start_response) is False
    check_untouched(environ, peer)
    green = gevent.socket.socket(fileno=environ["gunicorn.socket"].detach())
    with green:
        environ["gunicorn.socket"] = environ["wsgi.input"].reader.unreader.sock = green
        assert adapter.is_gevent(environ, None) is True


def test_gunicorn_is_known_by_the_environ_alone(gunicorn: tuple[Environ, Any, socket.socket]) -> None:
    environ, _, _ = gunicorn
    adapter = find(environ, None)
    taken = adapter.detach(environ, None)
    assert taken.early == b"early"
    assert list(adapter.finish(environ, None)) == []
    taken.transport.close()
    taken.sink.close()
    with pytest.raises(HandoverError, match="already"):
        adapter.detach(environ, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda environ: environ.update(SERVER_PROTOCOL="HTTP/2"), "HTTP/2"),
        (lambda environ: environ.update(SERVER_PROTOCOL="HTTP/1.0"), r"HTTP/1\.0"),
        (lambda environ: environ.update({"wsgi.input": object()}), "outermost"),
        (lambda environ: environ.pop("wsgi.input"), "outermost"),
        (
            lambda environ: setattr(environ["wsgi.input"].reader.unreader, "sock", None),
            "connection of its own",
        ),
        (lambda environ: setattr(environ["wsgi.input"].reader.unreader, "buf", []), "outermost"),
    ],
)
def test_gunicorn_refuses_what_is_not_as_expected(
    gunicorn: tuple[Environ, Any, socket.socket], change: Callable[[Environ], Any], message: str
) -> None:
    environ, response, peer = gunicorn
    change(environ)
    with pytest.raises(HandoverError, match=f"gunicorn does not .*{message}") as caught:
        find(environ, response.start_response).detach(environ, response.start_response)
    assert caught.value.status == 501
    check_untouched(environ, peer)


def test_gunicorn_behind_the_uwsgi_protocol_is_refused(gunicorn: tuple[Environ, Any, socket.socket]) -> None:
    environ, response, peer = gunicorn
    response.req = type("UWSGIRequest", (), {"__module__": "gunicorn.uwsgi.message"})()
    with pytest.raises(HandoverError, match="uwsgi protocol"):
        find(environ, response.start_response).detach(environ, response.start_response)
    check_untouched(environ, peer)


def test_gunicorn_with_a_foreign_socket_is_refused_with_its_type(
    gunicorn: tuple[Environ, Any, socket.socket],
) -> None:
    environ, response, _ = gunicorn
    green = type("GreenSocket", (), {"__module__": "eventlet.greenio.base"})()
    environ["gunicorn.socket"] = environ["wsgi.input"].reader.unreader.sock = green
    with pytest.raises(HandoverError, match=r"eventlet.*GreenSocket.*gunicorn \(sync, gthread or gevent\)"):
        find(environ, response.start_response).detach(environ, response.start_response)


def test_connection_is_dropped_when_its_early_bytes_can_not_be_read() -> None:
    class Broken(Adapter):
        def locate(self, environ: Environ, start_response: Any) -> servers.Located:
            return servers.Located(environ["sock"], lambda: b"" if environ.get("fine") else 1 // 0)  # type: ignore[arg-type, return-value]

    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(ZeroDivisionError):
            Broken().detach({"sock": ours}, None)
        assert theirs.recv(1) == b""


def test_registered_adapter_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Adapter):
        name = "my server"

        def match(self, environ: Environ, start_response: Any) -> bool:
            return "my.socket" in environ

        def locate(self, environ: Environ, start_response: Any) -> servers.Located:
            return servers.Located(environ["my.socket"], lambda: b"early")

    monkeypatch.setattr(servers, "_adapters", list(servers._adapters))
    own = Own()
    register(own)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        environ: Environ = {"my.socket": ours, "gunicorn.socket": ours}
        assert find(environ, None) is own
        taken = own.detach(environ, None)
        assert isinstance(taken, Taken)
        assert taken.early == b"early"
        taken.transport.close()
        taken.sink.close()
    with pytest.raises(HandoverError, match="my server does not"):
        own.detach({"my.socket": object()}, None)


def test_unknown_server_is_refused_with_its_name() -> None:
    with pytest.raises(
        HandoverError, match=r"waitress does not .* gunicorn \(sync, gthread or gevent\)"
    ) as caught:
        find({"SERVER_SOFTWARE": "waitress"}, None)
    assert caught.value.status == 501
    with pytest.raises(HandoverError, match="this server does not"):
        find({}, None)


@pytest.mark.parametrize("name", ["werkzeug.socket", "gevent", "cheroot", "wsgiref"])
def test_replaced_input_is_refused(name: str) -> None:
    environ: Environ = {"wsgi.input": object(), "SERVER_PROTOCOL": "HTTP/1.1"}
    if name == "cheroot":
        environ["wsgi.input"] = type("ChunkedRFile", (), {"__module__": "cheroot.server"})()
    elif name == "wsgiref":
        environ["SERVER_SOFTWARE"] = "WSGIServer/0.2"
    elif name == "gevent":
        environ["SERVER_SOFTWARE"] = "gevent/26.9 Python/3.11"
    else:
        environ[name] = object()
    with pytest.raises(HandoverError, match="chunked" if name == "cheroot" else "outermost"):
        find(environ, None).detach(environ, None)


def test_werkzeug_input_of_another_socket_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as file:
        environ: Environ = {"werkzeug.socket": theirs, "wsgi.input": file}
        with pytest.raises(HandoverError, match="outermost"):
            find(environ, None).detach(environ, None)


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Keep the tests' output short."""


@contextlib.contextmanager
def wsgiref_server() -> Iterator[int]:
    httpd = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    with running(httpd.serve_forever, httpd.shutdown), httpd:
        yield httpd.server_port


@contextlib.contextmanager
def werkzeug_server() -> Iterator[int]:
    httpd = make_werkzeug_server("127.0.0.1", 0, app)
    with running(httpd.serve_forever, httpd.shutdown):
        httpd.log_startup = lambda: None  # type: ignore[method-assign]
        yield httpd.server_port
    httpd.server_close()


@contextlib.contextmanager
def cheroot_server() -> Iterator[int]:
    server = CherootServer(("127.0.0.1", 0), app, numthreads=1)
    server.prepare()
    with running(server.serve, server.stop):
        yield server.bind_addr[1]


@contextlib.contextmanager
def gevent_server() -> Iterator[int]:
    ports: list[int] = []
    stop, ready = threading.Event(), threading.Event()

    def serve() -> None:
        server = gevent.pywsgi.WSGIServer(("127.0.0.1", 0), app, log=None)
        server.start()
        ports.append(int(server.address[1]))
        ready.set()
        while not stop.is_set():
            gevent.sleep(0.01)
        server.stop()
        gevent.get_hub().destroy()

    with running(serve, stop.set):
        assert ready.wait(5)
        yield ports[0]


@contextlib.contextmanager
def running(serve: Callable[[], Any], stop: Callable[[], Any]) -> Iterator[None]:
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(5)
        assert not thread.is_alive()


SERVERS = [wsgiref_server, werkzeug_server, cheroot_server, gevent_server]


@pytest.mark.parametrize("path", [b"/ws", b"/ws-wrapped", b"/ws-environ"])
@pytest.mark.parametrize("server", SERVERS)
def test_connection_is_taken_with_its_early_bytes(
    server: Callable[[], contextlib.AbstractContextManager[int]], path: bytes
) -> None:
    with server() as port, socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(REQUEST % path + b"early")
        expected = HEAD + b"early"
        received = b""
        while len(received) < len(expected):
            received += client.recv(1000)
        assert received == expected
        client.sendall(b"late")
        assert client.recv(100) == b"late"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
