"""gunicorn's workers end: SIGTERM, SIGHUP, max_requests, with connections, messages and HTTP under way."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.entrances.drains import WORKERS, Crowd, SlowRequest, serve, wait_for_end
from tests.promises.attacker import Peer, upgrade
from tests.promises.wire import TEXT, close_frame, frame, request
from tests.servers import Server, start
from tests.servers.live import child_pids

APP = "tests.entrances.drain_app:app"

#: Seconds over which connections are closed.
WINDOW = "1"

#: More than the sockets hold on both sides, and less than what has send() wait.
MESSAGES = 30

#: The same where the server keeps some as well.
MESSAGES_ASGI = 150


@contextlib.contextmanager
def load(server: Server) -> Iterator[Callable[[int], None]]:
    """
    Open two hundred WebSockets with messages queued for each; some will be read slowly, and one has begun to.

    Yields:
        What reads all, and checks that nothing was lost, and that all have heard a code, not all at once, but
        within seconds.
    """
    count = MESSAGES_ASGI if server.kind == "gunicorn-asgi" else MESSAGES

    def check(code: int) -> None:
        seen = crowd.read()
        assert {(what.code, what.messages, what.in_order) for what in seen} == {(code, count, True)}
        when = sorted(what.when for what in seen)
        # Sync workers and gevent's look once in a while only, and two hundred bursts take some of the window.
        assert when[-1] - when[0] > 0.1
        assert when[-1] < 5

    with Crowd(server, 200, "/burst", slow=10) as crowd:
        crowd.send(frame(TEXT, b"%d" % count))
        crowd.peers[-1].fill()
        yield check


@pytest.mark.parametrize("worker", WORKERS)
def test_sigterm_under_load_flushes_closes_with_1001_and_finishes_http(worker: str) -> None:
    with serve(worker, APP, DRAIN_WINDOW=WINDOW) as server, load(server) as check:
        pid = server.pid
        slow = SlowRequest(server, 1.0)
        time.sleep(0.2)
        server.signal()
        check(1001)
        assert slow.result() == 200
        server.process.wait(5)
        wait_for_end(pid, 1)
        assert "Traceback" not in server.log


@pytest.mark.parametrize("worker", WORKERS)
def test_reload_under_load_closes_with_1012_and_the_new_worker_serves(worker: str) -> None:
    with serve(worker, APP, DRAIN_WINDOW=WINDOW) as server:
        with load(server) as check:
            pid = server.pid
            slow = SlowRequest(server, 0.5) if worker != "sync" else None
            time.sleep(0.1)
            server.signal(signal.SIGHUP)
            check(1012)
        if slow is not None:
            assert slow.result() == 200
        wait_for_end(pid, 5)
        with upgrade(server) as peer:
            peer.echo()
            assert int(server.http().body) != pid
            server.signal()
            peer.expect_close(1001)
            peer.send(close_frame(1001))
            peer.read_to_end()


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent", "asgi"])
def test_max_requests_under_load_closes_with_1012(worker: str) -> None:
    number = "6" if worker == "asgi" else "206"  # it counts no WebSockets
    with (
        serve(worker, APP, "--max-requests", number, DRAIN_WINDOW=WINDOW) as server,
        ThreadPoolExecutor() as pool,
    ):
        with load(server) as check:
            pid = server.pid
            slow = SlowRequest(server, 0.5) if worker != "sync" else None
            requests = pool.submit(lambda: [server.http().status for _ in range(6)])
            check(1012)
        assert requests.result() == [200] * 6
        if slow is not None:
            assert slow.result() == 200
        wait_for_end(pid, 5)
        assert int(server.http().body) != pid


def test_max_requests_of_uvicorns_worker_is_uvicorns_own_1012() -> None:
    """It says so itself, and to nobody before."""
    with serve("uvicorn", APP, "--max-requests", "6") as server, Crowd(server, 10) as crowd:
        pid = server.pid
        for _ in range(6):
            with Peer(server.connect()) as peer:
                peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert peer.read_to_end()  # it does not count those who leave before
        assert {what.code for what in crowd.read()} == {1012}
        wait_for_end(pid, 5)
        assert int(server.http().body) != pid


def test_upgrade_meanwhile_is_503_with_retry_after() -> None:
    """On a connection that was kept alive; those that are new go to nobody, or to the next worker."""
    env = {"DRAIN_WINDOW": "1.5"}
    with start("gunicorn-gthread", APP, env=env) as server, Crowd(server, 3) as crowd:
        with Peer(server.connect()) as kept:
            kept.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert kept.read_head() == 200
            while int(kept.data or 0) != server.pid:
                kept.fill()
            kept.data = b""
            server.signal()
            assert crowd.peers[0].read_to_close().code == 1001
            kept.send(request("/echo"))
            assert kept.read_head() == 503
            assert b"\r\nRetry-After: 5" in kept.head
        assert [peer.read_to_close().code for peer in crowd.peers[1:]] == [1001] * 2


@pytest.mark.parametrize("worker", ["gthread", "asgi", "uvicorn"])
def test_those_who_do_not_answer_are_cut_before_the_arbiter_kills_the_worker(worker: str) -> None:
    env = {"DRAIN_WINDOW": "20", "DRAIN_GRACE": "20"}
    with serve(worker, APP, "--graceful-timeout", "2", **env) as server, Crowd(server, 5) as crowd:
        began = time.monotonic()
        server.signal()
        for peer in crowd.peers:
            assert peer.read_to_close().code == 1001
            assert peer.read_to_end() == b""
        server.process.wait(5)
        assert time.monotonic() - began < 4
        assert "SIGKILL" not in server.log


def test_grace_is_what_the_settings_say_under_asgi_too() -> None:
    with serve("asgi", APP, DRAIN_GRACE="2") as server, upgrade(server) as peer:
        peer.echo()
        server.signal()
        peer.expect_close(1001)
        peer.sock.settimeout(1.4)
        with pytest.raises(TimeoutError):
            peer.fill()
        peer.send(close_frame(1001))
        assert peer.read_to_end() == b""
        server.process.wait(5)


def test_handler_that_does_not_come_back_holds_up_nobodys_end() -> None:
    with (
        start("gunicorn-sync", APP, env={"DRAIN_GRACE": "0.5"}) as server,
        Crowd(server, 3, "/stuck") as stuck,
        Crowd(server, 3) as crowd,
    ):
        stuck.send(frame(TEXT, b"30"))
        crowd.peers[0].echo()
        began = time.monotonic()
        server.signal()
        assert [what.code for what in [*crowd.read(), *stuck.read()]] == [1001] * 6
        server.process.wait(5)
        assert time.monotonic() - began < 4


def test_signal_to_all_processes_at_once_is_an_end() -> None:
    """As a service manager may do: the worker knows before its arbiter does."""
    with start("gunicorn-gthread", APP) as server, Crowd(server, 3) as crowd:
        for pid in (server.pid, server.process.pid):
            os.kill(pid, signal.SIGTERM)
        assert [what.code for what in crowd.read()] == [1001] * 3


def test_arbiter_without_a_socket_reloads_when_there_are_new_workers() -> None:
    with start("gunicorn-gthread", APP, options=["--reuse-port"]) as server, Crowd(server, 3) as crowd:
        server.signal(signal.SIGHUP)
        assert [what.code for what in crowd.read()] == [1012] * 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 1012), (signal.SIGTERM, 1001)])
def test_hooks_know_where_nothing_can_be_found_out(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """The application has taken SIGTERM, and the arbiter has no socket to look at."""
    conf = tmp_path / "conf.py"
    conf.write_text("from ws4py_middleware.endings import on_reload, on_starting, post_worker_init\n")
    options = ["--config", str(conf), "--reuse-port"]
    env = {"OWN_SIGTERM": "1"}
    with start("gunicorn-gthread", APP, options=options, env=env) as server, Crowd(server, 3) as crowd:
        slow = SlowRequest(server, 1.0)
        time.sleep(0.2)
        server.signal(number)
        seen = crowd.read()
        assert [what.code for what in seen] == [code] * 3
        assert max(what.when for what in seen) < 0.8
        assert slow.result() == 200


def test_hooks_tell_the_asgi_worker_of_a_reload(tmp_path: Path) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text("from ws4py_middleware.endings import on_reload, on_starting, post_worker_init\n")
    options = ["--config", str(conf)]
    with start("gunicorn-asgi", "tests.entrances.asgi_app:app", options=options) as server:
        for number, code in ((signal.SIGHUP, 1012), (signal.SIGTERM, 1001)):
            with upgrade(server) as peer:
                pid = server.pid
                peer.echo()
                server.signal(number)
                peer.expect_close(code)
                peer.send(close_frame(code))
                peer.read_to_end()
            wait_for_end(pid, 5)


def test_application_with_its_own_sigterm_is_closed_at_its_exit() -> None:
    with start("gunicorn-sync", APP, env={"OWN_SIGTERM": "1"}) as server, Crowd(server, 3) as crowd:
        (worker,) = child_pids(server.process.pid)
        server.signal()
        assert [what.code for what in crowd.read()] == [1001] * 3
        wait_for_end(worker, 5)
