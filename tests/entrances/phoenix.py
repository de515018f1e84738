"""A server that stops, and comes up again at the same port."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.core.wire import CLOSE, build_close
from tests.entrances.scripted import Scripted, Visit
from ws4py_middleware.client import Backoff

Script = Callable[[Visit], object]

#: Soon, each time; and no connection of a test lives so long that the count would begin anew.
SOON = Backoff(initial=0.01, maximum=60, factor=1)
#: Much longer than a test takes.
LATE = Backoff(initial=60, maximum=60, jitter=False)


class Phoenix:
    """What is visited; each visit has the next script, those that come later the last one."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.server: Scripted | None = None
        #: All visits, in order.
        self.visits: list[Visit] = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}" if self.tls is None else f"wss://localhost:{self.port}"

    def start(self, *scripts: Script, parallel: bool = False) -> None:
        """Come up."""
        count = 0

        def serve(visit: Visit) -> None:
            nonlocal count
            count += 1
            self.visits.append(visit)
            scripts[min(count, len(scripts)) - 1](visit)

        self.server = Scripted(serve, tls=self.tls, port=self.port, parallel=parallel)

    def stop(self) -> None:
        """Go away, in the middle of whatever is said."""
        server, self.server = self.server, None
        if server is None:
            return
        with contextlib.suppress(OSError):
            server.listener.shutdown(socket.SHUT_RDWR)
        for visit in server.visits:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(visit.sock, socket.SHUT_RDWR)
        server.stop()


@contextlib.contextmanager
def phoenix(*scripts: Script, tls: ssl.SSLContext | None = None, parallel: bool = False) -> Iterator[Phoenix]:
    """Be up, if there are scripts, until told otherwise."""
    bird = Phoenix(tls)
    if scripts:
        bird.start(*scripts, parallel=parallel)
    try:
        yield bird
    finally:
        bird.stop()


@contextlib.contextmanager
def no_threads_stay() -> Iterator[None]:
    """Check that no thread is there afterwards that was not before."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 2
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not left


def echo(visit: Visit) -> None:
    """Say what is said."""
    visit.accept()
    visit.echo()


def say(*what: bytes) -> Script:
    """Open, say something, and then what is said."""

    def script(visit: Visit) -> None:
        visit.accept(b"".join(what))
        visit.echo()

    return script


def close(code: int | None, reason: bytes = b"") -> Script:
    """Open, and close with a code; ``None`` is none at all."""

    def script(visit: Visit) -> None:
        visit.accept(build_close(code, reason) if code is not None else bytes((0x88, 0)))
        while visit.read_frame()[0] != CLOSE:
            pass

    return script


def refuse(status: str, *headers: str) -> Script:
    """Say no."""

    def script(visit: Visit) -> None:
        visit.read_request()
        lines = [f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", ""]
        visit.send("\r\n".join(lines).encode())

    return script


def in_thread(function: Callable[..., Any], *args: Any) -> threading.Thread:
    """Call a function in a thread."""
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread
