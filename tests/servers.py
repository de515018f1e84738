"""
Start a real WSGI server in a subprocess, on a free port, for a test.

::

    from tests.servers import start

    def test_something() -> None:
        with start("gunicorn-sync", "tests.apps.echo:app") as server:
            client = server.connect()                  # a raw, connected socket (inside TLS with tls=True)
            assert server.http("/").status == 200      # a fresh connection, "Connection: close"
            before = server.fds()                      # descriptors of the process that serves
            assert "Traceback" not in server.log       # all the server printed: errors and access log

``app`` is ``"module:attribute"``, importable from the root of the checkout. The server is ready when the
block begins (it has answered one ``GET /``) and gone when the block ends.

=========================  ==========================================================================
kind                       what runs
=========================  ==========================================================================
``gunicorn-sync``          ``gunicorn -k sync --workers 1``
``gunicorn-gthread``       ``gunicorn -k gthread --workers 1 --threads 2``
``gunicorn-gevent``        ``gunicorn -k gevent --workers 1``
``gunicorn-gevent_pywsgi`` ``gunicorn -k gevent_pywsgi --workers 1``
``werkzeug``               ``run_simple(threaded=True)``; Flask's ``flask run`` is the same server
``werkzeug-single``        ``run_simple(threaded=False)``
``wsgiref``                ``wsgiref.simple_server.make_server``: one request at a time
``django-runserver``       ``runserver --noreload``; bare settings unless ``DJANGO_SETTINGS_MODULE`` is set
``gevent-pywsgi``          ``gevent.pywsgi.WSGIServer`` after ``monkey.patch_all()``
``gevent-pywsgi-unpatched``  the same without patching
``cheroot``                ``cheroot.wsgi.Server`` with two threads; TLS by the ``builtin`` adapter
``cheroot-pyopenssl``      the same; TLS by the ``pyopenssl`` adapter (only with ``tls=True``)
=========================  ==========================================================================

``KINDS`` holds the kinds that speak plain HTTP, ``TLS_KINDS`` those that speak TLS.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import http.client
import importlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent

KINDS = (
    "gunicorn-sync",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "gunicorn-gevent_pywsgi",
    "werkzeug",
    "werkzeug-single",
    "wsgiref",
    "django-runserver",
    "gevent-pywsgi",
    "gevent-pywsgi-unpatched",
    "cheroot",
)
TLS_KINDS = (*(kind for kind in KINDS if kind != "django-runserver"), "cheroot-pyopenssl")

# An untouched SIGTERM kills these without running atexit; SIGINT ends them in order.
STOPPED_BY_SIGINT = ("werkzeug", "werkzeug-single", "django-runserver")


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
    def pid(self) -> int:
        """The process that serves: under gunicorn the (first) worker, else the one that was started."""
        if not self.kind.startswith("gunicorn"):
            return self.process.pid
        workers = child_pids(self.process.pid)
        if not workers:
            raise RuntimeError(f"gunicorn has no worker:\n{self.log}")
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

    def connect(self, timeout: float = 10.0) -> socket.socket:
        """Open a connection; with TLS the handshake is done. The caller closes it."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        if not self.tls:
            return raw
        try:
            return client_context().wrap_socket(raw, server_hostname="localhost")
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
        if number is None:
            number = signal.SIGINT if self.kind in STOPPED_BY_SIGINT else signal.SIGTERM
        self.process.send_signal(number)

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
        kind: One of ``KINDS`` or ``TLS_KINDS``.
        app: The WSGI callable, ``"module:attribute"``.
        tls: Serve TLS with a certificate for ``localhost`` and ``127.0.0.1``.
        env: Environment variables on top of this process' own.
        threads: For gunicorn gthread and cheroot.
        options: More command line options, for gunicorn only (``["--preload"]``).
        directory: Where the log goes (pass ``tmp_path`` to keep it after the block).
        timeout: Seconds the server may take to answer the first request.

    Raises:
        RuntimeError: It did not start; the message has its log.
    """
    if kind not in (TLS_KINDS if tls else KINDS):
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


def wait_for(condition: Callable[[], bool], timeout: float = 5.0, what: str = "the condition") -> None:
    """Poll ``condition`` until it is true; raise AssertionError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(0.01)


def certificates() -> tuple[Path, Path, Path]:
    """Make (certificate, private key, authority) files once per process; they go with the process."""
    with _lock:
        return _certificates()


@functools.cache
def _certificates() -> tuple[Path, Path, Path]:
    import trustme

    directory = tempfile.TemporaryDirectory(prefix="live-server-tls-")
    atexit.register(directory.cleanup)
    paths = Path(directory.name, "cert.pem"), Path(directory.name, "key.pem"), Path(directory.name, "ca.pem")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    return paths


_lock = threading.Lock()


@functools.cache
def client_context() -> ssl.SSLContext:
    """Return the client's TLS context that trusts :func:`certificates`."""
    return ssl.create_default_context(cafile=str(certificates()[2]))


def server_context() -> ssl.SSLContext:
    """Return a server's TLS context with :func:`certificates`, for servers inside the test's own process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates()[:2])
    return context


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
    pem = [str(path) for path in certificates()[:2]] if tls else []
    if kind.startswith("gunicorn-"):
        command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
        command += ["--worker-class", kind.removeprefix("gunicorn-"), "--access-logfile", "-"]
        command += ["--threads", str(threads)] if kind == "gunicorn-gthread" else []
        command += ["--certfile", pem[0], "--keyfile", pem[1]] if tls else []
        command += ["--no-control-socket"] if _gunicorn_has_control_socket() else []
        command += [*options, app]
    else:
        command = [sys.executable, "-m", "tests.servers", kind, app, str(port), str(threads), *pem]
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


def _gunicorn_has_control_socket() -> bool:
    from gunicorn import config

    return hasattr(config, "ControlSocketDisable")


# What follows runs in the subprocess: servers without a command line that does what we need.


def _load(app: str) -> Any:
    module, _, attribute = app.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _exit_on_sigterm() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))


def _run_werkzeug(app: str, port: int, threaded: bool, pem: tuple[str, str] | None) -> None:
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", port, _load(app), threaded=threaded, ssl_context=pem)


def _run_wsgiref(app: str, port: int, pem: tuple[str, str] | None) -> None:
    from wsgiref.simple_server import make_server

    httpd = make_server("127.0.0.1", port, _load(app))
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pem)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    _exit_on_sigterm()
    httpd.serve_forever()


def _run_django(app: str, port: int) -> None:
    from django.conf import settings
    from django.core.management import execute_from_command_line

    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        settings.configure(
            DEBUG=True,
            SECRET_KEY="-",
            ALLOWED_HOSTS=["*"],
            USE_TZ=True,
            WSGI_APPLICATION=app.replace(":", "."),
        )
    execute_from_command_line(["manage.py", "runserver", "--noreload", "--skip-checks", f"127.0.0.1:{port}"])


def _run_gevent(app: str, port: int, pem: tuple[str, str] | None) -> None:
    import gevent
    from gevent.pywsgi import WSGIServer

    options: dict[str, Any] = {"certfile": pem[0], "keyfile": pem[1]} if pem else {}
    server = WSGIServer(("127.0.0.1", port), _load(app), **options)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    server.serve_forever()


def _run_cheroot(kind: str, app: str, port: int, threads: int, pem: tuple[str, str] | None) -> None:
    from cheroot.server import get_ssl_adapter_class
    from cheroot.wsgi import Server as CherootServer

    server = CherootServer(("127.0.0.1", port), _load(app), numthreads=threads, max=threads)
    if pem:
        server.ssl_adapter = get_ssl_adapter_class("pyopenssl" if kind.endswith("pyopenssl") else "builtin")(
            *pem
        )
    _exit_on_sigterm()
    try:
        server.start()
    finally:
        server.stop()


def _main(kind: str, app: str, port: int, threads: int, *pem: str) -> None:
    # A parent that was itself started in the background hands SIGINT on as ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pair = (pem[0], pem[1]) if pem else None
    if kind.startswith("werkzeug"):
        _run_werkzeug(app, port, kind == "werkzeug", pair)
    elif kind == "wsgiref":
        _run_wsgiref(app, port, pair)
    elif kind == "django-runserver":
        _run_django(app, port)
    elif kind.startswith("gevent-pywsgi"):
        if kind == "gevent-pywsgi":
            from gevent import monkey

            monkey.patch_all()
        _run_gevent(app, port, pair)
    elif kind.startswith("cheroot"):
        _run_cheroot(kind, app, port, threads, pair)
    else:
        raise SystemExit(f"no server {kind!r}")


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
