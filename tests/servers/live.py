"""A server in a subprocess: it is started, asked about, and stopped."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.servers.kinds import TABLE, Kind, Setup
from tests.servers.tls import certificates, client_context

ROOT = Path(__file__).resolve().parents[2]


class Response(NamedTuple):
    """An HTTP answer as :meth:`Server.http` returns it."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Server:
    """A running server: see the module's text."""

    def __init__(
        self, kind: str, port: int, process: subprocess.Popen[bytes], log_path: Path, tls: bool
    ) -> None:
        self.kind = kind
        self.port = port
        self.process = process
        self.log_path = log_path
        self.tls = tls

    @property
    def facts(self) -> Kind:
        """What there is to know of servers of this kind."""
        return TABLE[self.kind]

    @property
    def pid(self) -> int:
        """The process that serves: the (first) worker where there are workers, else the one started."""
        if not self.facts.forks:
            return self.process.pid
        children = child_pids(self.process.pid)
        # Processes that multiprocessing has started have one more to tidy up behind them.
        workers = [pid for pid in children if b"resource_tracker" not in _read_command_line(pid)]
        if not workers:
            raise RuntimeError(f"{self.kind} has no worker:\n{self.log}")
        return workers[0]

    @property
    def log(self) -> str:
        """All that the server has printed so far, access log included."""
        return self.log_path.read_text(errors="replace")

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port`` or ``https://localhost:port``, without a slash at the end."""
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """The same with ``ws`` or ``wss``."""
        return "ws" + self.url.removeprefix("http")

    @property
    def client_context(self) -> ssl.SSLContext | None:
        """A client's TLS context that trusts the server (hostname ``localhost``), or None without TLS."""
        return client_context() if self.tls else None

    def connect(self, timeout: float = 10.0, context: ssl.SSLContext | None = None) -> socket.socket:
        """Open a connection; with TLS the handshake is done. The caller closes it."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        if not self.tls:
            return raw
        try:
            return (context or client_context()).wrap_socket(raw, server_hostname="localhost")
        except BaseException:
            raw.close()
            raise

    def http(
        self,
        target: str = "/",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Response:
        """Send one request on a connection of its own and return the whole answer."""
        connection: http.client.HTTPConnection
        if self.tls:
            connection = http.client.HTTPSConnection(
                "localhost", self.port, timeout=timeout, context=client_context()
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, target, headers={"Connection": "close", **(headers or {})})
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())

    def fds(self) -> int:
        """Count the open descriptors of the serving process."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        """Count the threads of the serving process."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def rss(self) -> int:
        """Return the resident memory of the serving process in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu_time(self) -> float:
        """Return the CPU seconds (user and system) that the serving process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: int | None = None) -> None:
        """Send a signal to the process that was started; by default the one that ends it in order."""
        self.process.send_signal(self.facts.signal if number is None else number)

    def stop(self, timeout: float = 10.0) -> int:
        """End the server in order, or by force after ``timeout`` seconds; return its exit status."""
        if self.process.poll() is None:
            workers = child_pids(self.process.pid)
            self.signal()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                for pid in (*workers, self.process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        return self.process.wait()


@contextlib.contextmanager
def start(
    kind: str,
    app: str,
    *,
    tls: bool = False,
    env: Mapping[str, str] | None = None,
    threads: int = 2,
    options: Sequence[str] = (),
    directory: Path | None = None,
    timeout: float = 20.0,
) -> Iterator[Server]:
    """
    Run ``app`` under a server of this ``kind`` for the length of a ``with`` block.

    Args:
        kind: One of ``TABLE``.
        app: The WSGI callable (for an ASGI server, the ASGI one), ``"module:attribute"``.
        tls: Serve TLS with a certificate for ``localhost`` and ``127.0.0.1``.
        env: Environment variables on top of this process' own.
        threads: For servers with a pool of them, such as gunicorn gthread and cheroot.
        options: More command line options, for servers started by one (``["--preload"]``).
        directory: Where the log goes (pass ``tmp_path`` to keep it after the block).
        timeout: Seconds the server may take to answer the first request.

    Raises:
        RuntimeError: It did not start; the message has its log.
    """
    if kind not in TABLE or not (TABLE[kind].tls if tls else TABLE[kind].plain):
        raise ValueError(f"no server {kind!r} with tls={tls}")
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="live-server-")))
        log_path = directory / f"{kind}.log"
        server = _launch(kind, app, tls, env or {}, threads, options, log_path)
        stack.callback(server.stop)
        try:
            _wait_until_ready(server, timeout)
        except RuntimeError:
            if "in use" not in server.log:
                raise
            # Between choosing the port and the server's bind() somebody else took it.
            server.stop()
            server = _launch(kind, app, tls, env or {}, threads, options, log_path)
            stack.callback(server.stop)
            _wait_until_ready(server, timeout)
        yield server


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def child_pids(pid: int) -> list[int]:
    """Return the process ids of the children of a process, oldest first; none when it is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


@contextlib.contextmanager
def paused(pids: Collection[int]) -> Iterator[None]:
    """Let processes do nothing for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _read_command_line(pid: int) -> bytes:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def wait_for(condition: Callable[[], bool], timeout: float = 5.0, what: str = "the condition") -> None:
    """Poll ``condition`` until it is true; raise AssertionError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(0.01)


def _launch(
    kind: str,
    app: str,
    tls: bool,
    env: Mapping[str, str],
    threads: int,
    options: Sequence[str],
    log_path: Path,
) -> Server:
    port = free_port()
    cert, key = [str(path) for path in certificates()[:2]] if tls else ["", ""]
    setup = Setup(kind, app, port, threads, (cert, key) if tls else None, options)
    build = TABLE[kind].command
    if build is not None:
        command = build(setup)
    else:
        words = [kind, app, str(port), str(threads), cert, key, *options]
        command = [sys.executable, "-m", "tests.servers", *words]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **env}
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=log_path.parent,
        )
    return Server(kind, port, process, log_path, tls)


def _wait_until_ready(server: Server, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            server.http("/", timeout=max(0.1, deadline - time.monotonic()))
            return
        except (OSError, http.client.HTTPException) as error:
            problem = repr(error)
        if server.process.poll() is not None:
            problem = f"it exited with {server.process.returncode}"
        elif time.monotonic() < deadline:
            time.sleep(0.02)
            continue
        raise RuntimeError(f"{server.kind} did not start: {problem}\n{server.log}")
