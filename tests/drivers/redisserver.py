"""A Redis (or Valkey) of its own, that can be killed, paused and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.servers.live import free_port
from tests.servers.tls import certificates

PROGRAMS = ("redis-server", "valkey-server")


class RedisServer:
    """A server on a Unix socket and a free port, whose data is only in its memory."""

    def __init__(
        self, folder: Path, *, tls: bool = False, password: str | None = None, options: Sequence[str] = ()
    ) -> None:
        self.path = folder / "redis.sock"
        self.port = free_port()
        self.log_path = folder / "redis.log"
        program = next((found for found in map(shutil.which, PROGRAMS) if found), None)
        assert program, "no redis-server: see ensure_redis in scripts/lib/common.sh"
        self._command = [program, "--save", "", "--appendonly", "no", "--dir", str(folder)]
        self._password = password
        self._command += ["--requirepass", password] if password else []
        self._command += [
            "--unixsocket",
            str(self.path),
            "--logfile",
            str(self.log_path),
            "--bind",
            "127.0.0.1",
        ]
        if tls:
            pem = certificates()
            self._command += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            self._command += ["--tls-cert-file", str(pem[0]), "--tls-key-file", str(pem[1])]
        else:
            self._command += ["--port", str(self.port)]
        self._command += options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is: the Unix socket."""
        return f"unix://{self.path}"

    @property
    def tcp_url(self) -> str:
        """Where it is: the port."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that was started last."""
        assert self._process is not None
        return self._process.pid

    def client(self) -> Any:
        """Return a client of redis-py."""
        return Redis.from_url(self.url, password=self._password, socket_timeout=10)

    def start(self) -> None:
        """Start it, again after a kill, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(RedisError, OSError), contextlib.closing(self.client()) as client:
                if client.ping():
                    return
            assert time.monotonic() < deadline, self.log_path.read_text()
            assert self._process.poll() is None, self.log_path.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it: -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def pause(self) -> None:
        """Stop it: connections stay open, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def redis_server(
    *, tls: bool = False, password: str | None = None, options: Sequence[str] = ()
) -> Iterator[RedisServer]:
    """Start one, with these options on its command line, and end it."""
    # The path of a socket is short.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), tls=tls, password=password, options=options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def killed(redis: RedisServer) -> Iterator[None]:
    """Have none, and then one without its data."""
    redis.kill()
    try:
        yield
    finally:
        redis.start()


@contextlib.contextmanager
def paused(redis: RedisServer) -> Iterator[None]:
    """Have one that takes everything, and answers nothing."""
    redis.pause()
    try:
        yield
    finally:
        redis.resume()
