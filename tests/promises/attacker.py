"""
A hostile client, and the instruments to see what it did to the server.

Frames are read here as RFC 6455 section 5.2 has them, and built in ``wire``; nothing of the library
that is being tried is used.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import select
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.promises.wire import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    KiB,
    MiB,
    close_frame,
    frame,
    request,
)
from tests.servers import Server, wait_for


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    first: int

    @property
    def code(self) -> int:
        """The code of a Close frame; 1005 for one without."""
        assert self.opcode == CLOSE, self
        return struct.unpack_from("!H", self.payload)[0] if self.payload else 1005


class Peer:
    """A raw connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""
        self.head = b""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def fill(self) -> bool:
        """Read once; False at the end, be it in order or by a reset."""
        try:
            data = self.sock.recv(256 * KiB)
        except ConnectionError:
            return False
        self.data += data
        return bool(data)

    def read_head(self) -> int:
        """Read the head of an answer; return its status."""
        while b"\r\n\r\n" not in self.data:
            assert self.fill(), f"the connection ended after {self.data!r}"
        self.head, _, self.data = self.data.partition(b"\r\n\r\n")
        return int(self.head.split(b" ", 2)[1])

    def read_frame(self) -> Frame:
        """Read one frame; EOFError at the end of the stream."""
        while True:
            found = self.take_frame()
            if found is not None:
                return found
            if not self.fill():
                raise EOFError(f"the stream ended with {self.data[:64]!r}")

    def read_message(self) -> Frame:
        """Read until a frame that is neither ping nor pong, and answer pings as one should."""
        while (found := self.read_frame()).opcode in (PING, PONG):
            if found.opcode == PING:
                self.send(frame(PONG, found.payload))
        return found

    def take_frame(self) -> Frame | None:
        data = self.data
        if len(data) < 2:
            return None
        first, size = data[0], data[1]
        assert not size & 0x80, "a server does not mask"
        assert first & 0x30 == 0, "RSV2 or RSV3"
        start = 2
        if size == 126:
            if len(data) < 4:
                return None
            size, start = struct.unpack_from("!H", data, 2)[0], 4
            assert size >= 126
        elif size == 127:
            if len(data) < 10:
                return None
            size, start = struct.unpack_from("!Q", data, 2)[0], 10
            assert size >= 0x10000
        if len(data) < start + size:
            return None
        opcode = first & 0x0F
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), hex(first)
        assert opcode < 8 or (first & 0x80 and size <= 125)
        self.data = data[start + size :]
        return Frame(opcode, data[start : start + size], first)

    def read_to_close(self) -> Frame:
        """Read until a Close frame."""
        while (found := self.read_frame()).opcode != CLOSE:
            pass
        return found

    def expect_close(self, code: int) -> Frame:
        """Read until the Close frame, and check its code."""
        found = self.read_to_close()
        assert found.code == code, f"{found.code} {found.payload[2:]!r}, expected {code}"
        return found

    def read_to_end(self) -> bytes:
        """Read all until the server ends the connection."""
        while self.fill():
            pass
        data, self.data = self.data, b""
        return data

    def echo(self, text: bytes = b"hello") -> None:
        """Check that messages go to and fro."""
        self.send(frame(TEXT, text))
        found = self.read_message()
        assert (found.opcode, found.payload) == (TEXT, text)

    def flood(
        self,
        chunk: bytes,
        seconds: float,
        limit: int | None = None,
        *,
        reads: bool = False,
        step: int | None = None,
    ) -> int:
        """
        Send a chunk again and again for a time; return how many bytes were taken.

        Args:
            limit: Enough, in bytes.
            reads: Whether the answers are read, and thrown away; otherwise nothing is read.
            step: Most bytes in one write.
        """
        sent, position = 0, 0
        view = memoryview(chunk)
        deadline = time.monotonic() + seconds
        self.sock.setblocking(False)
        try:
            while (limit is None or sent < limit) and (left := deadline - time.monotonic()) > 0:
                events = _poll(self.sock, select.POLLOUT | (select.POLLIN if reads else 0), min(left, 0.05))
                if events & select.POLLIN and not self.sock.recv(256 * KiB):
                    break
                if events & select.POLLOUT:
                    end = None if step is None else position + step
                    count = self.sock.send(view[position:end])
                    sent += count
                    position = (position + count) % len(chunk)
        except ConnectionError:
            pass  # it has had enough
        finally:
            self.sock.settimeout(10)
        return sent

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def upgrade(
    server: Server,
    path: str = "/echo",
    headers: Mapping[str, str | None] | None = None,
    *,
    early: bytes = b"",
    receive_buffer: int | None = None,
    timeout: float = 10,
) -> Peer:
    """Open a WebSocket."""
    sock = socket.socket()
    try:
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", server.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(sock)
        peer.send(request(path, headers) + early)
        status = peer.read_head()
        assert status == 101, (peer.head, peer.data)
        assert b"Sec-WebSocket-Accept: " + ACCEPT in peer.head
    except BaseException:
        sock.close()
        raise
    return peer


DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits=12"}


@contextlib.contextmanager
def many(server: Server, count: int, path: str = "/echo") -> Iterator[list[Peer]]:
    """Hold so many WebSockets open."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(upgrade(server, path)) for _ in range(count)]


def ask(server: Server, data: bytes, timeout: float = 5) -> bytes:
    """Send bytes on a connection of their own, and return all that comes back until the server ends it."""
    with Peer(server.connect(timeout)) as peer:
        peer.send(data)
        return peer.read_to_end()


# --- instruments -----------------------------------------------------------------------------------


def warm_up(server: Server) -> None:
    """Let the server load and allocate what it needs for any client at all."""
    # Handlers that block make threads; on a busy machine any handler may have taken too long.
    paths = ("/echo", "/deflate", "/function", "/sink", "/size", "/room/warm", "/publish/warm", "/command")
    for path in (*paths, "/blocking"):
        with upgrade(server, path, DEFLATE) as peer:
            peer.send(frame(TEXT, b"hello" * 100) + frame(PING) + close_frame(1000))
            peer.read_to_close()
            peer.read_to_end()
    with contextlib.ExitStack() as stack:
        # Who says nothing has a thread of gunicorn's for a while, and there are two.
        for _ in range(4):
            stack.enter_context(Peer(server.connect()))
        time.sleep(0.1)
    set_baseline(server.pid)
    idle = server.fds()
    for _ in range(30):
        time.sleep(0.01)
        idle = min(idle, server.fds())
    _idle_fds[server.pid] = idle


class Process(Protocol):
    """A process of ours, seen from outside."""

    @property
    def pid(self) -> int: ...


class Memory:
    """
    What a process, the server mostly, grows to at the peak of a block, in bytes of resident memory.

    It is counted from :func:`set_baseline` on: one attack after the other has to stay below the bound,
    and none can hide in what another has left. The kernel keeps the high-water mark (``VmHWM``).
    """

    def __init__(self, process: Process) -> None:
        self.pid = process.pid
        self.growth = 0

    def __enter__(self) -> Memory:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # forget the mark
        return self

    def __exit__(self, *_: object) -> None:
        self.growth = read_status(self.pid, "VmHWM") - _baselines[self.pid]

    @property
    def text(self) -> str:
        return f"{self.growth / MiB:.2f} MiB"


#: By process: resident memory, and descriptors, when it had served one of each.
_baselines: dict[int, int] = {}
_idle_fds: dict[int, int] = {}


def wait_idle(server: Server, timeout: float = 1.0) -> None:
    """P19: within a second of whatever has happened, the server has the descriptors that it had before."""
    idle = _idle_fds[server.pid]
    wait_for(lambda: server.fds() <= idle, timeout, f"{server.fds()} descriptors to become {idle}")


def count_fds(server: Server) -> int:
    """Return how many descriptors there are beside those of an idle server."""
    return server.fds() - _idle_fds[server.pid]


def trim(server: Server) -> int:
    """
    Let the server give back to the system what its allocator keeps free: the rest is in use.

    Returns:
        How many blocks of memory Python has, which is about as many as there are objects.
    """
    with upgrade(server, "/command") as peer:
        peer.send(frame(TEXT, b"trim"))
        blocks = int(peer.read_frame().payload)
        peer.send(close_frame(1000))
        peer.read_to_end()
    return blocks


def set_baseline(pid: int) -> None:
    """Count a process' memory from here on."""
    _baselines[pid] = read_status(pid, "VmRSS")


def read_status(pid: int, name: str) -> int:
    """Return what the kernel tells of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * KiB
    raise LookupError(name)


def cpu_seconds(server: Server) -> float:
    """Return the CPU time of the server's living threads, to the nanosecond."""
    return Patience(server).ran / 1e9


class Patience:
    """
    How much longer the server takes because the machine is busy with others: 1.0 when it is not.

    The kernel counts how long the server's threads ran, and how long they could have run but had to
    wait for a processor. What is promised is about the server, so bounds in time are stretched by this.
    """

    def __init__(self, server: Server) -> None:
        self._pid = server.pid
        self._before = self._read()
        #: Nanoseconds that the living threads had run before.
        self.ran = self._before[0]

    def _read(self) -> tuple[int, int]:
        ran = waited = 0
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                fields = (task / "schedstat").read_text().split()
                ran, waited = ran + int(fields[0]), waited + int(fields[1])
        return ran, waited

    @property
    def factor(self) -> float:
        """Since this object was made."""
        ran, waited = (now - then for now, then in zip(self._read(), self._before, strict=True))
        return 1 + max(waited, 0) / max(ran, 1)


class Latency(list[float]):
    """Round trips in seconds."""

    @property
    def p99(self) -> float:
        """The 99th percentile by the nearest rank: of less than a hundred it is the worst."""
        return sorted(self)[math.ceil(len(self) * 0.99) - 1] if self else math.inf

    @property
    def text(self) -> str:
        if not self:
            return "nothing came back"
        return f"n={len(self)} p50={statistics.median(self) * 1e3:.1f} ms p99={self.p99 * 1e3:.1f} ms"


class Innocent:
    """A client that does nothing wrong: one echo after the other for as long as the block runs."""

    def __init__(self, server: Server, *, pause: float = 0.005, path: str = "/echo") -> None:
        self.server = server
        self.pause = pause
        self.path = path
        self.latency = Latency()
        #: How long new connections took until their first echo.
        self.connects = Latency()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        runs = (self._echo, self._connect)
        self._threads = [threading.Thread(target=self._guard, args=(run,)) for run in runs]

    def __enter__(self) -> Innocent:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:
            self._error = error

    def _echo(self) -> None:
        with upgrade(self.server, self.path) as peer:
            while not self._stop.wait(self.pause):
                began = time.perf_counter()
                peer.echo(b"are you there?")
                self.latency.append(time.perf_counter() - began)

    def _connect(self) -> None:
        while not self._stop.wait(0.05):
            began = time.perf_counter()
            with upgrade(self.server, self.path) as peer:
                peer.echo(b"hello, world")
                self.connects.append(time.perf_counter() - began)


class Attack:
    """Hostile threads that run as long as the block does; each calls ``once(stop)`` again and again."""

    def __init__(self, once: Callable[[threading.Event], None], threads: int = 4) -> None:
        self._stop = threading.Event()
        self._once = once
        self.rounds = 0
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Attack:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError, EOFError):
                self._once(self._stop)
            self.rounds += 1


def best(measure: Callable[[], float], bound: float, attempts: int = 3) -> float:
    """Measure until it is good enough: what was bad once says as much of the machine as of the server."""
    results: list[float] = []
    while len(results) < attempts and (not results or min(results) > bound):
        results.append(measure())
    return min(results)


def _poll(sock: socket.socket, events: int, timeout: float) -> int:
    poller = select.poll()  # select() itself knows no descriptor above 1023
    poller.register(sock, events)
    ready = poller.poll(timeout * 1000)
    return ready[0][1] if ready else 0


def drain(sock: socket.socket) -> None:
    """Throw away what can be read now."""
    while _poll(sock, select.POLLIN, 0) and sock.recv(256 * KiB):
        pass


def allow_many_descriptors() -> None:
    """Let this process, and the servers that it starts, have as many descriptors as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def report(name: str, **values: object) -> None:
    """Append what was measured to the file that ``PROMISES_REPORT`` names, if it does."""
    path = os.environ.get("PROMISES_REPORT")
    if path:
        with Path(path).open("a") as file:
            file.write(f"{name}: {' '.join(f'{key}={value}' for key, value in values.items())}\n")
