"""Clients of a server that is being drained, and what each of them sees."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import select
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from tests.promises.attacker import Peer, allow_many_descriptors, upgrade
from tests.promises.wire import BINARY, CLOSE, close_frame
from tests.servers import Server, start

__all__ = ["WORKERS", "Crowd", "Seen", "SlowRequest", "serve", "wait_for_end"]

#: gunicorn's worker classes, and the one that uvicorn has for it.
WORKERS = ("sync", "gthread", "gevent", "gevent_pywsgi", "asgi", "uvicorn")


@contextlib.contextmanager
def serve(worker: str, app: str, *options: str, **env: str) -> Iterator[Server]:
    """Start gunicorn with a worker of any class; ASGI's have the ``asgi_app`` beside an ``app``."""
    allow_many_descriptors()
    if worker == "uvicorn":
        worker, options = "asgi", ("--worker-class", "uvicorn.workers.UvicornWorker", *options)
    if worker == "asgi":
        app = app.replace(":", ":asgi_")
    with start(f"gunicorn-{worker}", app, options=options, env=env) as server:
        yield server


@dataclasses.dataclass
class Seen:
    """What a client has seen."""

    messages: int = 0
    code: int = 0
    reason: bytes = b""
    when: float = 0.0
    #: Whether TCP ended in order, after that.
    in_order: bool = False


class Crowd:
    """
    So many clients, which do not read until they are told to.

    Args:
        slow: How many of them read slowly then.
    """

    def __init__(self, server: Server, count: int, path: str = "/echo", *, slow: int = 0) -> None:
        self.peers = [upgrade(server, path, receive_buffer=4096) for _ in range(count)]
        self._slow = slow

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for peer in self.peers:
            peer.sock.close()

    def send(self, data: bytes) -> None:
        for peer in self.peers:
            peer.send(data)

    def read(self, timeout: float = 15.0) -> list[Seen]:
        """Read all that comes, answer the Close frames, and return what there was; the slow ones first."""
        with ThreadPoolExecutor() as pool:
            slow = pool.submit(_read, self.peers[: self._slow], timeout, 0.02)
            fast = _read(self.peers[self._slow :], timeout)
            return [*slow.result(), *fast]


def _read(peers: Sequence[Peer], timeout: float, pause: float = 0.0) -> list[Seen]:
    began = time.monotonic()
    poll = select.poll()
    seen = {peer.sock.fileno(): (peer, Seen()) for peer in peers}
    for fd in seen:
        poll.register(fd, select.POLLIN)
    left = set(seen)
    while left and (rest := began + timeout - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest * 1000):
            peer, what = seen[fd]
            if not _take(peer, what, began):
                poll.unregister(fd)
                left.discard(fd)
        time.sleep(pause)
    return [what for _, what in seen.values()]


def _take(peer: Peer, what: Seen, began: float) -> bool:
    if not peer.fill():
        what.in_order = bool(what.code)
        return False
    while (found := peer.take_frame()) is not None:
        if found.opcode == CLOSE:
            what.code, what.reason = found.code, found.payload[2:]
            what.when = time.monotonic() - began
            peer.send(close_frame(found.code))
        elif found.opcode == BINARY:
            assert found.payload[:6] == b"%06d" % what.messages
            what.messages += 1
    return True


class SlowRequest:
    """An HTTP request that is being served; :meth:`result` waits for its answer."""

    def __init__(self, server: Server, seconds: float) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self._connection.request("GET", f"/slow?{seconds}", headers={"Connection": "close"})
        self._status = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._connection.getresponse() as response:
            response.read()
            self._status = response.status
        self._connection.close()

    def result(self) -> int:
        self._thread.join()
        return self._status


def wait_for_end(pid: int, timeout: float) -> float:
    """Wait for the end of a process that is no child of ours; return how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < timeout:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    break
        except (FileNotFoundError, ProcessLookupError):  # the latter between open() and read()
            break
        time.sleep(0.01)
    else:
        raise AssertionError(f"{pid} has not ended within {timeout} s")
    return time.monotonic() - began
