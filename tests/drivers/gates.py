"""Handlers that block until a test lets them go on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from tests.drivers.peer import Peer, Recorder, wait_until
from tests.drivers.threads import ThreadHost
from ws4py_middleware.handon import Crew
from ws4py_middleware.messaging import Message


class Gate(Recorder):
    """Waits in one of its hooks until it is let through."""

    where = "message"

    def __init__(self) -> None:
        super().__init__()
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.threads: list[int] = []

    def block(self) -> None:
        self.threads.append(threading.get_ident())
        self.inside.set()
        assert self.go_on.wait(20)

    def on_opened(self) -> None:
        if self.where == "opened":
            self.block()

    def on_message(self, message: Message) -> None:
        if self.where == "message":
            self.block()
        self.send(message.data)

    def on_closed(self, code: int) -> None:
        if self.where == "closed":
            self.block()


def echo(peer: Peer, text: str = "hello") -> None:
    peer.send(text)
    assert peer.read() == text


@contextlib.contextmanager
def blocked(host: ThreadHost, gate: Gate) -> Iterator[Peer]:
    """Have a hook that blocks, and let it go on in the end."""
    peer = host.connect(gate)
    try:
        if gate.where == "message":
            peer.send("one")
        elif gate.where == "closed":
            wait_until(lambda: gate.seen)
            peer.close()
        assert gate.inside.wait(10)
        yield peer
    finally:
        gate.go_on.set()


def crew(host: ThreadHost) -> Crew:
    crew = host.manager._crew
    assert crew is not None
    return crew
