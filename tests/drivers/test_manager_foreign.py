"""Those of other classes in the manager of threads: all it needs is ws4py's methods."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock, patch

import pytest

from tests.drivers.peer import EchoRecorder, Peer, Recorder, wait_until
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware.manager import (
    WebSocketManager,
)

__all__ = ["threads"]


def echo(peer: Peer, text: str = "hello") -> None:
    peer.send(text)
    assert peer.read() == text


# --- those of other classes -------------------------------------------------------------------------


class Foreign:
    """A WebSocket that has nothing of ours but ws4py's methods."""

    def __init__(self, sock: socket.socket, answers: list[Any]) -> None:
        self.sock = sock
        self.terminated = False
        self.answers = answers
        self.calls: list[tuple[Any, ...]] = []

    def opened(self) -> None:
        self.calls.append(("opened",))

    def once(self) -> bool:
        self.calls.append(("once", self.sock.recv(100)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    def send(self, message: Any, binary: bool = False) -> None:
        self.calls.append(("send", message, binary))
        if message == "fail":
            raise OSError("gone")

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.calls.append(("close", code, reason))

    def terminate(self) -> None:
        self.terminated = True
        self.calls.append(("terminate",))
        if self.answers:
            raise RuntimeError("badly done")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


Pair = tuple[socket.socket, socket.socket]


def test_foreign_websocket_is_read_until_once_is_false(threads: ThreadHost, pair: Pair) -> None:
    foreign = Foreign(pair[1], [True, False])
    threads.manager.add(foreign)
    threads.manager.add(foreign)
    assert len(threads.manager) == 1
    assert foreign in threads.manager
    assert list(threads.manager) == [foreign]
    for text in (b"one", b"two"):
        pair[0].send(text)
        wait_until(lambda text=text: foreign.calls[-1][-1] == text or foreign.terminated)  # type: ignore[misc]
    wait_until(lambda: foreign.terminated)
    assert foreign.calls == [("opened",), ("once", b"one"), ("once", b"two"), ("terminate",)]
    assert len(threads.manager) == 0


def test_foreign_websocket_that_raises_is_terminated(threads: ThreadHost, pair: Pair) -> None:
    foreign = Foreign(pair[1], [ValueError("boom"), "left over, so that terminate() raises too"])
    threads.manager.add(foreign)
    pair[0].send(b"x")
    wait_until(lambda: foreign.terminated)
    other = EchoRecorder()
    with threads.connect(other) as peer:
        echo(peer)
    other.wait_closed()


def test_foreign_websocket_that_ended_itself_is_forgotten(threads: ThreadHost, pair: Pair) -> None:
    foreign = Foreign(pair[1], [])
    threads.manager.add(foreign)
    foreign.terminated = True
    pair[0].send(b"x")
    wait_until(lambda: not len(threads.manager))
    assert foreign.calls == [("opened",)]


def test_foreign_websocket_gets_broadcasts_and_the_close(threads: ThreadHost, pair: Pair) -> None:
    foreign = Foreign(pair[1], [])
    own = Recorder()
    peer = threads.connect(own)
    threads.manager.add(foreign)
    wait_until(lambda: own.seen)
    assert threads.manager.broadcast("hello") == 2
    assert threads.manager.broadcast(b"hello", binary=True) == 2
    assert threads.manager.broadcast("fail") == 1
    threads.manager.close_all(1012, "soon back")
    with pytest.raises(ValueError, match="1006"):
        threads.manager.close_all(1006)
    threads.manager.remove(foreign)
    threads.manager.remove(foreign)
    assert [peer.read() for _ in range(3)] == ["hello", b"hello", "fail"]
    assert peer.answer() == (1012, "soon back")
    own.wait_closed()
    assert foreign.calls == [
        ("opened",),
        ("send", "hello", False),
        ("send", b"hello", True),
        ("send", "fail", False),
        ("close", 1012, "soon back"),
    ]


def test_one_who_cannot_be_closed_keeps_nobody_else_open(threads: ThreadHost, pair: Pair) -> None:
    foreign: Any = Foreign(pair[1], [])
    foreign.close = MagicMock(side_effect=OSError("gone"))
    threads.manager.add(foreign)
    own = Recorder()
    peer = threads.connect(own)
    threads.manager.close_all()
    foreign.close.assert_called_once_with(code=1001, reason="Server is shutting down")
    assert peer.answer()[0] == 1001
    own.wait_closed()


def test_stop_terminates_the_foreign_ones(pair: Pair) -> None:
    manager = WebSocketManager()
    manager.start()
    foreign = Foreign(pair[1], [])
    manager.add(foreign)
    manager.stop()
    assert foreign.calls == [("opened",), ("terminate",)]
    assert len(manager) == 0


@patch("ws4py_middleware.manager.SelectPoller")
def test_ws4pys_way_of_testing_the_manager_works(poller_class: MagicMock) -> None:
    """With doubles for the poller and the WebSocket, which the manager must not look into."""
    manager = WebSocketManager(poller=poller_class())
    manager.daemon = True
    poller: Any = manager.poller
    websocket = MagicMock()
    websocket.sock.fileno.return_value = 1
    manager.remove(websocket)
    assert not poller.unregister.called
    manager.add(websocket)
    manager.add(websocket)
    assert len(manager) == 1
    poller.register.assert_called_once_with(1)
    websocket.opened.assert_called_once_with()
    manager.remove(websocket)
    manager.remove(websocket)
    poller.unregister.assert_called_once_with(1)

    def poll() -> Iterator[int]:
        yield 1
        manager.stop()
        yield 2

    websocket.terminated = False
    websocket.once.return_value = False
    manager.add(websocket)
    poller.poll.return_value = poll()
    manager.start()
    manager.join(10)
    assert not manager.running
    websocket.terminate.assert_called_once_with()
