"""The servers that are measured: how each is started, when it is ready, and how it is stopped, by its pid."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

from benchmarks.machine import Cores, pinned, version_of
from benchmarks.measure import children, rests, tree

__all__ = [
    "APPS",
    "ROOT",
    "Fleet",
    "Running",
    "Server",
    "ServerError",
    "gunicorn",
    "missing",
    "running",
    "why",
]

ROOT = Path(__file__).parent.parent
APPS = ROOT / "benchmarks" / "apps"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 3.0
#: How long a server may be busy after its last connection has gone.
REST_TIMEOUT = 3.0


class ServerError(Exception):
    """A server did not start, or does not speak WebSocket."""


@dataclass(frozen=True)
class Server:
    """One server: `command` makes its argv from the port and the number of connections it must hold."""

    name: str
    title: str
    command: Callable[[int, int], list[str]]
    needs: tuple[str, ...] = ()
    forks: bool = False  # the work is done by its children
    http: bool = True
    sleeps: bool = False  # it has a path whose handler blocks
    compared: bool = True  # it is measured where all are
    variant: bool = False  # it is measured as an echo, and its idle connections are, and that is enough
    deflate: bool = False  # it compresses, when it is asked to
    json: bool = True  # its handler reads and writes JSON, when it is asked to
    python: bool = True  # it has an interpreter's lock
    many: bool = False  # it is measured with the larger number of idle connections, too
    path: str = "/echo"  # where there is a WebSocket
    environ: Mapping[str, str] = field(default_factory=dict)
    absent: Callable[[], list[str]] = list  # what else it needs and is not there


class Running(NamedTuple):
    """A server that answers at `port`; `pids` do its work."""

    port: int
    pids: list[int]


def gunicorn(app: str, worker: str, *options: str) -> Callable[[int, int], list[str]]:
    """Return what makes the command of gunicorn with one worker, unless `options` say otherwise."""

    def command(port: int, connections: int) -> list[str]:
        threads = [option.format(threads=connections + 64) for option in options]
        settings = str(APPS / "gunicorn_conf.py")
        base = [sys.executable, "-m", "gunicorn", "-c", settings, "-b", f"127.0.0.1:{port}", "-w", "1"]
        return [*base, "-k", worker, *threads, f"benchmarks.apps.{app}:app"]

    return command


def missing(server: Server) -> list[str]:
    """Return what `server` needs and is not installed."""
    return [*(name for name in server.needs if version_of(name) is None), *server.absent()]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def _handshake(port: int, path: str) -> bytes:
    """Open a WebSocket and return the status line; empty when nobody answers."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(request.encode())
            return sock.recv(4096).partition(b"\r\n")[0]
    except OSError:
        return b""


def why(log: str) -> str:
    r"""
    Return the line of a server's output that says best why it failed: its last exception, or its last line.

    >>> why("Traceback\n  File ...\nImportError: no x\n[2026-01-01] [9] [ERROR] Worker failed\n")
    'ImportError: no x'
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    exceptions = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit)\b", line)]
    return (exceptions or lines or [""])[-1]


def _wait_until_ready(port: int, path: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    status = b""
    while time.monotonic() < deadline and process.poll() is None:
        status = _handshake(port, path)
        if status.startswith(b"HTTP/1.1 101"):
            return
        if status:  # it answers, and will go on to answer so
            break
        time.sleep(0.05)
    log.seek(0)
    answer = f"answered {status.decode(errors='replace')!r}" if status else "did not answer"
    raise ServerError(": ".join(filter(None, [answer, why(log.read().decode(errors="replace"))])))


def _stop(process: subprocess.Popen[bytes]) -> None:
    # Handles, not numbers: a number may belong to somebody else once the master has waited for its worker.
    handles = []
    for pid in tree(process.pid) if process.poll() is None else []:
        with contextlib.suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
    try:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        process.wait()
    finally:
        for handle in handles:
            os.close(handle)


@contextlib.contextmanager
def running(server: Server, connections: int, cores: Cores) -> Iterator[Running]:
    """
    Run `server` while the block runs, with room for `connections`.

    Raises:
        ServerError: It ended, or did not open a WebSocket within 30 seconds.
    """
    started = _start(server, connections, cores)
    try:
        yield started.running
    finally:
        _stop(started.process)


class _Started(NamedTuple):
    process: subprocess.Popen[bytes]
    running: Running


def _start(server: Server, connections: int, cores: Cores) -> _Started:
    port = _free_port()
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **server.environ}
    with tempfile.TemporaryFile() as log:
        with pinned(cores.server):
            process = subprocess.Popen(
                server.command(port, connections), cwd=ROOT, env=environ, stdout=log, stderr=log
            )
        try:
            _wait_until_ready(port, server.path, process, log)
        except BaseException:
            _stop(process)
            raise
    return _Started(process, Running(port, children(process.pid) if server.forks else [process.pid]))


class Fleet:
    """
    Servers that stay for a round: each is started when it is first asked for, and rests while others run.

    One that failed is stopped, so that the next measurement has a fresh one.
    """

    def __init__(self, connections: int, cores: Cores) -> None:
        self._connections = connections
        self._cores = cores
        self._started: dict[str, _Started] = {}

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        started, self._started = self._started, {}
        for each in started.values():  # all at once, since some take their time
            each.process.terminate()
            each.process.send_signal(signal.SIGCONT)
        for each in started.values():
            _stop(each.process)

    @contextlib.contextmanager
    def at(self, server: Server) -> Iterator[Running]:
        """
        Lend `server` to the block; return when it has come to rest.

        Raises:
            ServerError: It did not start.
        """
        started = self._started.get(server.name)
        if started is None:
            started = self._started[server.name] = _start(server, self._connections, self._cores)
        elif not server.forks:
            started.process.send_signal(signal.SIGCONT)
        rested = False
        try:
            yield started.running
            rested = rests(started.running.pids, REST_TIMEOUT)
        finally:
            if not rested:
                del self._started[server.name]
                _stop(started.process)
        if (
            not server.forks
        ):  # some poll when there is nothing to do; gunicorn would end a worker that is stopped
            started.process.send_signal(signal.SIGSTOP)
