"""A stock gunicorn for a test: started on a free port of the loopback, and stopped."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..extras import MissingExtraError
from .certificates import make_context

__all__ = ["Gunicorn"]

#: How often it is asked whether it is there; seconds.
_LOOK = 0.02


class Gunicorn:
    """
    One gunicorn with one worker. It has begun when it has answered one ``GET /``, whatever the answer.

    Args:
        app: ``"module:attribute"``, importable from ``directory``.
        worker: The worker class: ``sync``, ``gthread``, ``gevent``, or a path to another one.
        threads: Those of ``gthread``.
        env: Environment variables on top of this process' own.
        options: Further options of its command line.
        directory: Where it is run; by default here.
        certificate: Files of a certificate and its key, PEM: it speaks TLS.
        timeout: How long it may take to begin; seconds.

    Raises:
        MissingExtraError: gunicorn is not installed.
        RuntimeError: It has not started; the message has its log.
    """

    def __init__(
        self,
        app: str,
        *,
        worker: str = "gthread",
        threads: int = 2,
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        directory: str | os.PathLike[str] | None = None,
        certificate: tuple[str, str] | None = None,
        timeout: float = 20.0,
    ) -> None:
        if importlib.util.find_spec("gunicorn") is None:
            raise MissingExtraError('a live server needs gunicorn: pip install "ws4py_middleware[gunicorn]"')
        self.app = app
        self.port = _free_port()
        command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--workers", "1"]
        command += ["--worker-class", worker, "--access-logfile", "-"]
        command += ["--threads", str(threads)] if worker == "gthread" else []
        command += ["--no-control-socket"] if _has_control_socket() else []
        #: What a client of it believes, where it speaks TLS.
        self.context: ssl.SSLContext | None = None
        if certificate is not None:
            cert, key = (os.path.abspath(path) for path in certificate)
            command += ["--certfile", cert, "--keyfile", key]
            self.context = make_context(cert)
        where = Path(directory or ".").resolve()
        path = os.pathsep.join(filter(None, [str(where), os.environ.get("PYTHONPATH")]))
        file, name = tempfile.mkstemp(prefix="ws4py_middleware-", suffix=".log")
        self._log_path = Path(name)
        try:
            self.process = subprocess.Popen(
                [*command, *options, app],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=where,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(env or {})},
            )
        finally:
            os.close(file)
        try:
            self._wait_ready(timeout)
        except BaseException:
            self.stop()
            raise

    @property
    def authority(self) -> str:
        """The ``Host`` of requests to it."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that it has printed so far, a line for each request included."""
        with contextlib.suppress(FileNotFoundError):
            return self._log_path.read_text(errors="replace")
        return ""

    def terminate(self) -> None:
        """Tell it to end, and do not wait for that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout: float = 10.0) -> None:
        """End it in order, or by force after so many seconds. Again does nothing."""
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log_path.unlink(missing_ok=True)

    def _wait_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._answers(deadline - time.monotonic()):
            if self.process.poll() is not None:
                raise RuntimeError(f"gunicorn {self.app} has ended at once:\n{self.log}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"gunicorn {self.app} has not started within {timeout:g} s:\n{self.log}")
            time.sleep(_LOOK)

    def _answers(self, timeout: float) -> bool:
        """Ask for a page; any answer will do. Who is asked too early answers late."""
        place, limit = ("127.0.0.1", self.port), max(timeout, 0.1)
        connection = (
            http.client.HTTPConnection(*place, timeout=limit)
            if self.context is None
            else http.client.HTTPSConnection(*place, timeout=limit, context=self.context)
        )
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/", headers={"Connection": "close"})
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _has_control_socket() -> bool:
    """Tell whether this release opens a control socket unless it is told not to."""
    from gunicorn import config

    return hasattr(config, "ControlSocketDisable")
