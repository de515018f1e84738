"""
The pollers: one contract for all.

There is no kqueue on Linux: the logic of :class:`KQueuePoller` is tested against an imitation, ``kqueue.py``,
which was written from kqueue(2); the real one was not at hand.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.drivers import kqueue
from tests.drivers.peer import Peer, Recorder, connect, tcp_pair, wait_until
from ws4py_middleware import pollers
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.pollers import (
    HANGUP,
    READ,
    WRITE,
    EPollPoller,
    ForeignPoller,
    KQueuePoller,
    Poller,
    SelectPoller,
    default_poller,
)
from ws4py_middleware.websocket import EchoWebSocket

POLLERS = (EPollPoller, SelectPoller, KQueuePoller)


@pytest.fixture
def imitation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kqueue", "kevent", *(name for name in dir(kqueue) if name.startswith("KQ_"))):
        monkeypatch.setattr(select, name, getattr(kqueue, name), raising=False)


@pytest.fixture(params=POLLERS)
def make(request: pytest.FixtureRequest, imitation: None) -> Callable[[], Poller]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def poller(make: Callable[[], Poller]) -> Iterator[Poller]:
    poller = make()
    yield poller
    poller.release()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


Ends = tuple[socket.socket, socket.socket]


def test_readable_is_told_until_it_was_read(poller: Poller, ends: Ends) -> None:
    fd = ends[0].fileno()
    poller.register(fd)
    assert poller.wait(0) == []
    ends[1].send(b"x")
    assert poller.wait(5) == poller.wait(5) == [(fd, READ)]
    ends[0].recv(1)
    assert poller.wait(0) == []


def test_writable_is_told_while_it_is_asked_for(poller: Poller, ends: Ends) -> None:
    fd = ends[0].fileno()
    poller.register(fd, False, True)
    assert poller.wait(5) == [(fd, WRITE)]
    ends[1].send(b"x")
    poller.modify(fd, True, True)
    assert poller.wait(5) == [(fd, READ | WRITE)]
    poller.modify(fd, False, False)
    assert poller.wait(0) == []
    poller.modify(fd, True, False)
    assert poller.wait(5) == [(fd, READ)]


def test_wait_lasts_as_long_as_it_was_told(poller: Poller, ends: Ends) -> None:
    poller.register(ends[0].fileno())
    began = time.monotonic()
    assert poller.wait(0.05) == []
    assert 0.045 <= time.monotonic() - began < 1


def test_peer_that_ended_is_readable(poller: Poller, ends: Ends) -> None:
    poller.register(ends[0].fileno())
    ends[1].close()
    ((fd, events),) = poller.wait(5)
    assert fd == ends[0].fileno()
    assert events & READ


def test_peer_that_is_gone_is_told_to_the_writer(poller: Poller, ends: Ends) -> None:
    poller.register(ends[0].fileno(), False, True)
    ends[1].close()
    ((_, events),) = poller.wait(5)
    assert events & HANGUP


def test_register_twice_changes(poller: Poller, ends: Ends) -> None:
    fd = ends[0].fileno()
    poller.register(fd, False, True)
    poller.register(fd, True, False)
    assert poller.wait(0) == []
    ends[1].send(b"x")
    assert poller.wait(5) == [(fd, READ)]


def test_unregister_ends_it_and_again_does_nothing(poller: Poller, ends: Ends) -> None:
    fd = ends[0].fileno()
    poller.register(fd)
    ends[1].send(b"x")
    poller.unregister(fd)
    poller.unregister(fd)
    assert poller.wait(0) == []
    poller.modify(fd, True, True)
    assert poller.wait(0) == []


def test_register_of_what_is_not_open_raises(make: Callable[[], Poller]) -> None:
    if make is SelectPoller:
        with pytest.raises(ValueError, match="-1"):
            make().register(-1)
        return
    poller = make()
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    with pytest.raises(OSError, match="Bad file descriptor"):
        poller.register(read)


def test_number_that_is_given_to_another_connection_is_polled(poller: Poller) -> None:
    """It was closed behind the poller's back, and the kernel has forgotten it."""
    first, second = socket.socketpair()
    fd = first.fileno()
    poller.register(fd, True, True)
    first.close()
    second.close()
    poller.modify(fd, True, True) if not isinstance(poller, KQueuePoller) else None
    first, second = socket.socketpair()
    with first, second:
        other = first if first.fileno() == fd else second
        assert other.fileno() == fd
        poller.register(fd)
        (second if other is first else first).send(b"x")
        assert poller.wait(5) == [(fd, READ)]
        poller.unregister(fd)
        assert poller.wait(0) == []


def test_unregister_of_what_was_closed_does_nothing(poller: Poller) -> None:
    read, write = os.pipe()
    poller.register(read)
    os.close(read)
    os.close(write)
    poller.unregister(read)
    assert poller.wait(0) == []


def test_released_poller_is_in_use_again_after_register(poller: Poller, ends: Ends) -> None:
    poller.register(ends[0].fileno())
    poller.release()
    poller.release()
    poller.modify(ends[0].fileno(), True, True)
    poller.unregister(ends[0].fileno())
    poller.register(ends[1].fileno())
    ends[0].send(b"x")
    ends[1].send(b"x")
    assert poller.wait(5) == [(ends[1].fileno(), READ)]


def test_poll_is_ws4pys(make: Any, ends: Ends) -> None:
    poller = make(timeout=0.01)
    poller.register(ends[0].fileno())
    assert list(poller.poll()) == []
    ends[1].send(b"x")
    assert list(poller.poll()) == [ends[0].fileno()]
    poller.release()


def test_changes_from_other_threads_are_safe_and_seen(poller: Poller) -> None:
    """While one waits, or with its next wait when it says that it needs waking."""
    pairs = [socket.socketpair() for _ in range(50)]
    read, write = os.pipe()
    poller.register(read)
    seen: set[int] = set()
    done = threading.Event()

    def wait() -> None:
        while not done.is_set():
            for fd, _ in poller.wait(0.05):
                if fd == read:
                    os.read(fd, 100)
                else:
                    seen.add(fd)
                    poller.unregister(fd)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()

    def add(own: list[Ends]) -> None:
        for first, second in own:
            second.send(b"x")
            poller.register(first.fileno())
            if poller.needs_wake:
                os.write(write, b"x")

    threads = [threading.Thread(target=add, args=(pairs[start::5],)) for start in range(5)]
    for other in threads:
        other.start()
    wait_until(lambda: len(seen) == 50)
    done.set()
    os.write(write, b"x")
    for other in [*threads, thread]:
        other.join(10)
    for sock in (sock for pair in pairs for sock in pair):
        sock.close()
    os.close(read)
    os.close(write)


def test_default_poller_is_the_platforms_best() -> None:
    poller = default_poller()
    assert isinstance(poller, EPollPoller)
    poller.release()


def test_manager_runs_on_kqueue(imitation: None) -> None:
    # The imitation does not see what other threads add while it waits; the real one does.
    poller = KQueuePoller()
    poller.needs_wake = True
    manager = WebSocketManager(poller)
    manager.daemon = True
    manager.start()
    with connect(manager, EchoWebSocket()) as peer:
        data = bytes(2**20)
        threading.Thread(target=peer.send, args=(data,)).start()
        assert peer.read() == data
        peer.finish()
    wait_until(lambda: not len(manager))
    manager.stop()


# --- one's own ------------------------------------------------------------------------------------


class Ws4py:
    """A poller as ws4py's: four methods, a time-out of its own."""

    def __init__(self, timeout: float = 0.02) -> None:
        self.fds: list[int] = []
        self.timeout = timeout

    def register(self, fd: int) -> None:
        assert fd not in self.fds
        self.fds.append(fd)

    def unregister(self, fd: int) -> None:
        self.fds.remove(fd)

    def poll(self) -> Iterator[int]:
        yield from select.select(self.fds, [], [], self.timeout)[0]

    def release(self) -> None:
        self.fds = []


def test_foreign_poller_pauses_by_unregistering(ends: Ends) -> None:
    inner = Ws4py()
    poller = ForeignPoller(inner)
    fd = ends[0].fileno()
    poller.register(fd, True, True)
    assert poller.wait(None) == [(fd, WRITE)]
    poller.modify(fd, False, True)
    assert inner.fds == []
    poller.modify(fd, True, False)
    assert inner.fds == [fd]
    poller.modify(fd, False, False)
    poller.unregister(fd)
    poller.register(fd, False, False)
    assert inner.fds == []
    poller.unregister(fd)
    ends[1].send(b"x")
    poller.register(fd)
    assert poller.wait(None) == [(fd, READ)]
    poller.release()
    assert inner.fds == []


def test_manager_runs_on_a_poller_of_four_methods() -> None:
    manager = WebSocketManager(poller=Ws4py())
    manager.daemon = True
    manager.start()
    assert isinstance(manager.poller, Ws4py)
    with connect(manager, EchoWebSocket(), ping_interval=0.05) as peer:
        assert peer.read_frame().opcode == 9
        # A batch of many turns does not wait the poller's time-out for each of them.
        began = time.monotonic()
        peer.send_bytes(b"\x81\x80\0\0\0\0" * 5000)
        frames = list(itertools.islice(peer.frames(), 5000))
        assert len(frames) == 5000
        assert time.monotonic() - began < 2
    manager.stop()


def test_manager_on_a_poller_of_four_methods_tells_what_a_timer_has_ended() -> None:
    """What follows from a timer is not left for the next of its time-outs."""

    class Timed(Ws4py):
        def poll(self) -> Iterator[int]:
            began = time.monotonic()
            ready = list(super().poll())
            if time.monotonic() - began >= self.timeout:
                waits.append(began)
            yield from ready

    waits: list[float] = []
    manager = WebSocketManager(poller=Timed(timeout=0.3))
    manager.daemon = True
    manager.start()
    recorder = Recorder()
    with connect(manager, recorder, ping_interval=None, close_timeout=0.05):
        wait_until(lambda: recorder.seen)
        over = time.monotonic() + 0.05 + 0.1  # and a moment
        recorder.close()
        recorder.wait_closed()
        assert not [began for began in waits if began > over]
    manager.stop()


def test_manager_on_a_poller_of_four_methods_sends_what_is_large() -> None:
    manager = WebSocketManager(poller=Ws4py(timeout=0.001))
    manager.daemon = True
    manager.start()
    with connect(manager, EchoWebSocket(), ping_interval=None) as peer:
        data = bytes(2**20)
        threading.Thread(target=peer.send, args=(data,)).start()
        assert peer.read() == data
        peer.finish()
    wait_until(lambda: not len(manager))
    manager.stop()


def test_poller_names_are_those_of_ws4py() -> None:
    assert {"SelectPoller", "EPollPoller", "KQueuePoller"} <= set(pollers.__all__)
    client, server = tcp_pair()
    with client, server:
        assert isinstance(Peer(client).sock, socket.socket)


@pytest.mark.parametrize("timeout", [3e6, 1e12])
def test_timeout_of_months_is_as_good_as_any(timeout: float) -> None:
    poller = EPollPoller()
    near, far = socket.socketpair()
    with near, far:
        poller.register(near.fileno())
        far.send(b"!")
        assert poller.wait(timeout) == [(near.fileno(), READ)]
        poller.release()


def test_system_that_gives_no_epoll_object_is_no_reason_not_to_start() -> None:
    code = (
        "import errno, select\n"
        "def refuse(*args): raise OSError(errno.EMFILE, 'none is left')\n"
        "select.epoll = refuse\n"
        "import ws4py_middleware.manager\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
