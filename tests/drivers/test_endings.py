"""How a process finds out why it ends: a worker of gunicorn's, in a process that is its own arbiter."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.workers.sync import SyncWorker

from ws4py_middleware import endings
from ws4py_middleware.drain import GOING_AWAY, RESTART
from ws4py_middleware.endings import ask_ending, find_ending, is_ending, notice_receiver, watch


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_shown", "_server", "_shared"):
        monkeypatch.setattr(endings, name, None)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A worker that takes this very process for its arbiter, which listens."""
    monkeypatch.setattr(os, "getppid", os.getpid)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = SyncWorker(1, os.getpid(), [listener], None, 15, Config(), None)
        before = signal.signal(signal.SIGTERM, worker.handle_exit)
        yield worker
        signal.signal(signal.SIGTERM, before)
        worker.tmp.close()


class Manager:
    def __init__(self) -> None:
        self.owners: list[Any] = []
        self.begun: list[Any] = []

    def schedule(self, owner: Any, when: float) -> None:
        self.owners.append(owner)

    def begin_drain(self, code: int, reason: str, *, timeout: float | None) -> None:
        self.begun.append((code, reason, timeout))


def test_process_without_gunicorn_has_nothing_to_watch() -> None:
    manager = Manager()
    watch(manager)
    assert manager.owners == []
    assert not is_ending()
    assert ask_ending() == (GOING_AWAY, None)


def test_watch_asks_until_the_worker_ends_and_then_begins_the_drain(worker: Any) -> None:
    manager = Manager()
    watch(manager)
    (owner,) = manager.owners
    owner.on_deadline(100.0)
    assert (len(manager.owners), is_ending()) == (2, False)
    os.kill(os.getpid(), signal.SIGTERM)
    assert is_ending()
    owner.on_deadline(100.1)  # it listens; but perhaps it was not quick enough
    owner.on_deadline(100.2)
    assert (len(manager.owners), manager.begun) == (4, [])
    owner.on_deadline(100.4)
    ((code, reason, timeout),) = manager.begun
    assert (code, reason) == RESTART
    assert timeout == pytest.approx(28.7)
    assert len(manager.owners) == 4


def test_arbiter_that_closes_its_sockets_meanwhile_has_ended(worker: Any) -> None:
    watch(Manager())
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        worker.sockets[0].close()

    assert find_ending(wait)[0] == GOING_AWAY
    assert waited == [endings.SETTLE_TIME]
    assert ask_ending()[0] == GOING_AWAY  # now at once


def test_worker_that_has_closed_its_sockets_before_is_known_all_the_same(worker: Any) -> None:
    """gevent's has, while it serves its last requests; the first WebSocket of all may be one of them."""
    worker.sockets[0].close()
    worker.alive = False
    watch(Manager())
    assert is_ending()
    assert ask_ending()[0] == GOING_AWAY, "there are no new workers"
    worker.nr = worker.max_requests = 5
    assert ask_ending()[0] == RESTART


def test_arbiter_that_still_listens_then_reloads(worker: Any) -> None:
    assert ask_ending()[0] is None
    ending, left = find_ending(lambda seconds: None)
    assert ending == RESTART
    assert left is not None
    assert 28 < left <= 29


def test_max_requests_needs_no_second_look_and_no_proc(worker: Any) -> None:
    worker.nr = worker.max_requests = 5
    assert ask_ending()[0] == RESTART


def test_worker_whose_arbiter_is_gone_has_no_successor(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.nr = worker.max_requests = 5
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert ask_ending()[0] == GOING_AWAY


def test_time_is_the_shorter_of_gunicorns_two(worker: Any) -> None:
    worker.cfg.set("timeout", 0)
    worker.cfg.set("graceful_timeout", 10)
    assert ask_ending()[1] == pytest.approx(9, abs=0.1)
    worker.cfg.set("timeout", 1)
    assert ask_ending()[1] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("why", ["reuse_port", "no proc"])
def test_where_sockets_are_not_seen_new_workers_tell(
    worker: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "reuse_port":
        worker.cfg.set("reuse_port", True)
    else:

        def refuse(pid: int) -> Iterator[str]:
            raise PermissionError(13, f"/proc/{pid}/fd")

        monkeypatch.setattr(endings, "_read_descriptors", refuse)
    worker.cfg.set("workers", 2)
    # Not of the children that other tests may have left; and this process is older.
    monkeypatch.setattr(endings, "_NEW", 1.0)
    time.sleep(1.05)
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as first:
        assert ask_ending()[0] == GOING_AWAY
        with subprocess.Popen(command, stdin=subprocess.PIPE) as second:
            assert ask_ending()[0] == RESTART
            for process in (first, second):
                process.communicate(b"\n")


def test_system_without_proc_knows_of_max_requests_only(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Path("/proc/nobody")
    monkeypatch.setattr(endings, "_PROC", missing)
    assert ask_ending()[0] == GOING_AWAY
    worker.nr = worker.max_requests = 5
    assert ask_ending()[0] == RESTART


def test_hooks_tell_of_a_reload_that_comes_after_them(worker: Any) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the application's own
    assert ask_ending() == (GOING_AWAY, None)
    endings.on_starting(None)
    endings.on_reload(None)  # that of somebody before
    endings.post_worker_init(worker)
    assert ask_ending()[0] is None
    endings.on_reload(None)
    assert ask_ending()[0] == RESTART


class Receiver:
    """What gunicorn's ASGI worker lets applications receive from."""

    def __init__(self, worker: Any) -> None:
        protocol = types.SimpleNamespace(worker=worker)
        self.transport = types.SimpleNamespace(get_protocol=lambda: protocol)

    async def receive(self) -> None: ...


def test_asgi_worker_is_behind_what_applications_receive_from(worker: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in (None, print, Receiver(None).receive, Receiver("somebody else").receive):
        assert not notice_receiver(other)
    assert ask_ending() == (GOING_AWAY, None)
    assert notice_receiver(Receiver(worker).receive)
    assert not notice_receiver(Receiver(worker).receive)
    assert ask_ending()[0] is None  # it listens, and so there is a worker to be asked


class Uvicorn:
    """uvicorn's server, as far as it is looked at; in a worker of gunicorn's it has whom to notify."""

    def __init__(self, *, notified: Any = None, reload: bool = False) -> None:
        self.config = types.SimpleNamespace(callback_notify=notified, reload=reload)

    def handle_exit(self, number: int, frame: object) -> None: ...


def test_uvicorns_worker_is_whom_its_server_notifies(worker: Any) -> None:
    signal.signal(signal.SIGTERM, Uvicorn(notified=worker.notify).handle_exit)
    assert ask_ending()[0] is None


@pytest.mark.parametrize("way", ["program", "command"])
def test_reloader_of_an_asgi_server_is_one(way: str, worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGTERM, Uvicorn(reload=way == "program").handle_exit)
    monkeypatch.setattr(sys, "argv", ["uvicorn", "--reload"] if way == "command" else ["serve.py"])
    monkeypatch.setattr(endings, "_since", time.time())
    assert ask_ending() == (GOING_AWAY, None)
    monkeypatch.setattr(endings, "_since", os.stat(__file__).st_mtime - 1)
    assert ask_ending() == (RESTART, None)


@pytest.mark.parametrize("name", ["RUN_MAIN", "WERKZEUG_RUN_MAIN"])
def test_reloader_reloads_when_a_module_has_changed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "_since", time.time())
    monkeypatch.setenv(name, "true")
    assert ask_ending() == (GOING_AWAY, None)
    monkeypatch.setattr(endings, "_since", os.stat(__file__).st_mtime - 1)
    assert ask_ending() == (RESTART, None)
    monkeypatch.delenv(name)
    assert ask_ending() == (GOING_AWAY, None)


class Lazy:
    """A module that is imported when it is asked for a file; but it is not installed."""

    @property
    def __file__(self) -> str:
        raise ImportError("no module named that")


@pytest.mark.parametrize("make", [Lazy, lambda: types.SimpleNamespace(__file__=object()), lambda: None])
def test_what_is_no_module_has_not_changed(make: Any, worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGTERM, Uvicorn(reload=True).handle_exit)
    monkeypatch.setattr(endings, "_since", time.time() + 60)
    monkeypatch.setitem(sys.modules, "odd", make())
    assert ask_ending() == (GOING_AWAY, None)
