"""
uWSGI's adapter without uWSGI: what it refuses by the way it was started, and that it touches nothing.

The module ``uwsgi`` exists only inside the server, so here is one that says what that would say. This process
has none of uWSGI's functions, either: what needs them is in tests/entrances/test_uwsgi.py.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import gevent
import pytest

from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover import find
from ws4py_middleware.handover.uwsgi import call_at_exit, is_master
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.process import ensure_running

Environ = dict[str, Any]


class Inside:
    """A request inside uWSGI, started with ``--http-socket :80``."""

    def __init__(self, server: socket.socket, client: socket.socket) -> None:
        self.server, self.client = server, client
        module: Any = ModuleType("uwsgi")
        module.opt = {"http-socket": b":80"}
        module.has_threads, module.cores, module.loop = 1, 1, None
        module.connection_fd = server.fileno
        self.module = module
        self.environ: Environ = {"uwsgi.version": b"2.0.31", "wsgi.url_scheme": "http", "CONTENT_LENGTH": ""}

    def refuse(self, message: str) -> None:
        adapter = find(self.environ, None)
        for look in (adapter.is_gevent, adapter.detach):
            with pytest.raises(
                HandoverError, match=f"uWSGI does not give up its connection: .*{message}"
            ) as caught:
                look(self.environ, None)
            assert caught.value.status == 501
        self.client.sendall(b"untouched")
        assert self.server.recv(9) == b"untouched"


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    server, client = socket.socketpair()
    with server, client:
        request = Inside(server, client)
        monkeypatch.setitem(sys.modules, "uwsgi", request.module)
        yield request


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"http": b":80"}, "start it with --http-raw-body"),
        ({"https": b":443,cert,key"}, "start it with --http-raw-body"),
        ({"fastcgi-socket": b":9000"}, "--fastcgi-socket wraps what is sent"),
        ({"socket": b":80", "scgi-socket": [b":1", b":2"]}, "--scgi-socket wraps what is sent"),
        ({"socket": b":80", "protocol": b"fastcgi"}, "--socket-protocol wraps"),
        ({"socket": b":80", "socket-protocol": [b"http", b"scgi"]}, "--socket-protocol wraps"),
        ({"http-socket": b":80", "async": b"10"}, "async modes are not supported"),
    ],
)
def test_options_that_stand_in_the_way_are_named(
    inside: Inside, options: dict[str, Any], message: str
) -> None:
    inside.module.opt = options
    inside.refuse(message)


def test_its_own_tls_is_refused_and_only_on_that_socket(inside: Inside) -> None:
    inside.module.opt = {"https-socket": b":443,cert,key", "http-socket": b":80"}
    inside.environ["wsgi.url_scheme"] = "https"
    inside.refuse("TLS of --https-socket is inside it; use --https with --http-raw-body")
    inside.environ["wsgi.url_scheme"] = "http"
    inside.refuse("not as in uWSGI 2")


@pytest.mark.parametrize("loop", [b"asyncio", b"greenlet", "tornado"])
def test_other_loops_are_refused(inside: Inside, loop: str | bytes) -> None:
    inside.module.loop = loop
    inside.refuse("use --threads or --gevent")


def test_without_threads_it_is_refused(inside: Inside) -> None:
    inside.module.has_threads = 0
    inside.refuse("start it with --enable-threads")


@pytest.mark.parametrize("extra", [{"CONTENT_LENGTH": "5"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_request_with_a_body_is_refused(inside: Inside, extra: Environ) -> None:
    inside.environ.update(extra)
    inside.refuse("the request has a body")


def test_functions_that_are_not_exported_are_refused(inside: Inside) -> None:
    inside.refuse(r"what it exports for plugins is not as in uWSGI 2\.0")


@pytest.mark.parametrize("name", ["connection_fd", "has_threads", "loop", "opt"])
def test_part_of_the_module_that_is_gone_is_refused(inside: Inside, name: str) -> None:
    delattr(inside.module, name)
    inside.refuse(r"not as in uWSGI 2\.0")


def test_module_that_is_gone_is_refused(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "uwsgi")
    inside.refuse(r"not as in uWSGI 2\.0")


def test_request_of_another_descriptor_is_refused(inside: Inside) -> None:
    """Under gevent the address is the greenlet's own; it must be of a structure with this descriptor."""
    other = ctypes.c_int(inside.server.fileno() + 1)
    inside.module.loop = b"gevent"

    def run() -> None:
        greenlet: Any = gevent.getcurrent()
        inside.refuse("not the thread, or greenlet, that")
        greenlet.uwsgi_wsgi_req = ctypes.addressof(other)
        inside.refuse(r"not as in uWSGI 2\.0")

    gevent.spawn(run).get(timeout=5)


def test_exit_hook_goes_in_front_of_what_was_there(inside: Inside) -> None:
    called: list[str] = []
    inside.module.atexit = lambda: called.append("the application's")
    call_at_exit(lambda: called.append("first"))
    call_at_exit(lambda: called.append("second"))
    inside.module.atexit()
    assert called == ["second", "first", "the application's"]


def test_exit_hook_is_left_alone_outside_of_uwsgi(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", other)
    call_at_exit(print)
    assert not hasattr(other, "atexit")
    monkeypatch.delitem(sys.modules, "uwsgi")
    call_at_exit(print)


def test_only_the_master_is_the_master(inside: Inside) -> None:
    assert not is_master()
    inside.module.masterpid = os.getpid
    assert is_master()
    inside.module.masterpid = os.getppid  # as in a worker
    assert not is_master()


def test_master_starts_no_thread_that_its_workers_would_inherit(inside: Inside) -> None:
    manager = WebSocketManager()
    inside.module.masterpid = os.getpid
    ensure_running(manager)
    started_by_master = manager.is_ready
    inside.module.masterpid = os.getppid
    ensure_running(manager)
    assert (started_by_master, manager.is_ready) == (False, True)
    manager.stop()
    manager.join(5)
