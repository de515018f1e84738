"""uWSGI as people start it: what the connections survive, what they are told, and what is refused."""

from __future__ import annotations

import contextlib
import re
import signal
import time

import pytest

from tests.entrances.wire import ask, build
from tests.matrix.columns import COLUMNS, connect
from tests.servers import start, wait_for

APP = "tests.matrix.wsgi_app:app"
HTTP_SOCKET = ("--http-socket", "{address}")
TROUBLE = re.compile("Traceback|Error|BUG|[Ss]egmentation|HARAKIRI")


@pytest.mark.parametrize(
    ("options", "tls", "message"),
    [
        (("--https-socket", "{address},{cert},{key}"), True, b"use --https with --http-raw-body, or a proxy"),
        (("--http", "{address}"), False, b"start it with --http-raw-body"),
        ((*HTTP_SOCKET, "--async", "4", "--ugreen"), False, b"use --threads or --gevent"),
        ((*HTTP_SOCKET, "--fastcgi-socket", "127.0.0.1:0"), False, b"--fastcgi-socket wraps what is sent"),
    ],
    ids=["https-socket", "router", "async", "fastcgi"],
)
def test_what_can_not_be_is_501_and_says_what_to_do(
    options: tuple[str, ...], tls: bool, message: bytes
) -> None:
    with start("uwsgi", APP, options=options, tls=tls) as server:
        answer = ask(server.connect(timeout=5), build("/echo"))
        assert answer.status == 501
        assert answer.rest.startswith(b"uWSGI does not give up its connection: ")
        assert message in answer.rest
        assert server.http("/").body == b"hello"
        assert "Traceback" not in server.log


@pytest.mark.parametrize("changes", [{"Transfer-Encoding": "chunked"}, {"Content-Length": "5"}])
def test_request_with_a_body_is_no_handshake(changes: dict[str, str | None]) -> None:
    with start("uwsgi", APP, options=HTTP_SOCKET) as server:
        assert ask(server.connect(timeout=5), build("/echo", changes) + b"hello").status == 400


def test_router_that_knows_websockets_passes_them_on() -> None:
    with start("uwsgi", APP, options=("--http", "{address}", "--http-websockets")) as server:
        assert COLUMNS["close"](server) == "clean"
        assert COLUMNS["message"](server) == "both ways"


@pytest.mark.parametrize(
    "options",
    [("--processes", "2", "--threads", "2"), ("--lazy-apps",), ("--py-call-uwsgi-fork-hooks",)],
    ids=["as-it-is", "lazy", "hooks"],
)
def test_each_worker_has_a_manager_of_its_own(options: tuple[str, ...]) -> None:
    app = "tests.entrances.preforked_app:app"
    with start("uwsgi", app, options=(*HTTP_SOCKET, *options)) as server:
        assert COLUMNS["early"](server) == "kept"
        assert COLUMNS["stop"](server) == "1001"
        assert not TROUBLE.search(server.log)


@pytest.mark.parametrize("mode", [("--threads", "2"), ("--gevent", "10")], ids=["threads", "gevent"])
def test_harakiri_and_time_do_nothing_to_connections(mode: tuple[str, ...]) -> None:
    with (
        start("uwsgi", APP, options=(*HTTP_SOCKET, *mode, "--harakiri", "1")) as server,
        connect(server) as peer,
    ):
        worker, end = server.pid, time.monotonic() + 2.5
        while time.monotonic() < end:
            peer.echo()
            assert server.http("/").body == b"hello"
        assert server.pid == worker
        assert not TROUBLE.search(server.log)


@pytest.mark.parametrize("mode", [("--threads", "2"), ("--gevent", "10")], ids=["threads", "gevent"])
def test_stop_at_once_says_1001_too(mode: tuple[str, ...]) -> None:
    with start("uwsgi", APP, options=(*HTTP_SOCKET, *mode, "--die-on-term")) as server:
        assert COLUMNS["stop"](server) == "1001"
        assert not TROUBLE.search(server.log)


def test_reload_says_1001_and_the_next_worker_serves() -> None:
    with start("uwsgi", APP, options=HTTP_SOCKET) as server, connect(server) as peer:
        worker = server.pid
        peer.echo()
        server.signal(signal.SIGHUP)
        peer.expect_close(1001)

        def is_back() -> bool:
            with contextlib.suppress(OSError, RuntimeError):
                return server.pid != worker and server.http("/").status == 200
            return False

        wait_for(is_back, 20, "the next worker")
        with connect(server) as other:
            other.echo()


def test_its_own_log_has_the_101() -> None:
    with start("uwsgi", APP, options=HTTP_SOCKET) as server, connect(server) as peer:
        peer.echo()
        wait_for(
            lambda: re.search(r"GET /echo => .*\(HTTP/1\.1 101\)", server.log) is not None, 5, "the line"
        )


@pytest.mark.parametrize(
    ("mode", "query"), [(("--threads", "2"), ""), (("--gevent", "10"), "?gevent")], ids=["thread", "greenlet"]
)
def test_upgrade_outside_of_the_request_is_501_and_no_crash(mode: tuple[str, ...], query: str) -> None:
    app = "tests.entrances.foreign_thread_app:app"
    with start("uwsgi", app, options=(*HTTP_SOCKET, *mode)) as server:
        worker = server.pid
        answer = ask(server.connect(timeout=5), build(f"/echo{query}"))
        assert answer.status == 501
        assert b"not the thread, or greenlet, that it has called the application in" in answer.rest
        assert server.http("/").body == b"hello"
        assert server.pid == worker
        assert not TROUBLE.search(server.log)
