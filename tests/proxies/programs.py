"""
Run one of the proxies with its configuration from the documentation.

The files of ``docs/code/proxies`` are run as they are shown, but for public values (port 443, gunicorn's
address, where certificates lie): pieces of the text have the test's own in their place, and each has to be
there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.servers import ROOT, certificates, child_pids, client_context, free_port, wait_for

#: Where Debian has what a user's PATH may lack.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
_FOLDER = ROOT / "docs" / "code" / "proxies"
#: Pieces of a file, and what to have in their place.
Changes = Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """A proxy, and how it is run in a test."""

    file: str
    #: Serves in the foreground, ``{file}`` is its configuration.
    command: Sequence[str]
    #: Its ports and places, which only root has; ``{port}`` and ``{home}`` are the test's.
    public: Changes
    reload: signal.Signals
    #: The application of the documentation behind it.
    app: str = "docs.code.proxies.app:app"
    #: What has gunicorn's address, and how that of a Unix socket at ``{path}`` is written.
    unix: tuple[str, str]
    #: A minute of silence is a second.
    minute: Changes
    #: The ten minutes that WebSockets have after a reload are one second; empty where nothing ends them.
    farewell: Changes = dataclasses.field(default_factory=dict)
    #: There is another gunicorn at ``{port}``.
    second: Changes
    #: The status when there is no gunicorn; None where that is the end of the connection.
    away: int | None

    def at_port(self, port: int) -> dict[str, str]:
        """Have gunicorn at a port."""
        return {"127.0.0.1:8000": f"127.0.0.1:{port}"}

    def at_path(self, path: str) -> dict[str, str]:
        """Have gunicorn at a Unix socket."""
        return {self.unix[0]: self.unix[1].format(path=path)}

    def at_ports(self, first: int, second: int) -> dict[str, str]:
        """Have gunicorn twice."""
        return {old: new.format(port=second) for old, new in self.second.items()} | self.at_port(first)


_APACHE_PASS = "ProxyPass / http://127.0.0.1:8000/ upgrade=websocket connectiontimeout=2 timeout=60 retry=0"
_APACHE_BALANCER = (_FOLDER / "apache_balancer.conf").read_text()

PROGRAMS = {
    "nginx": Program(
        file="nginx.conf",
        command=["nginx", "-e", "stderr", "-c", "{file}", "-g", "daemon off;"],
        public={
            "listen 443": "listen 127.0.0.1:{port}",
            "pid /run/nginx.pid": "pid {home}/nginx.pid",
            "http {": "http { access_log off; client_body_temp_path {home}/a; proxy_temp_path {home}/b;"
            " fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;",
        },
        reload=signal.SIGHUP,
        unix=("127.0.0.1:8000", "unix:{path}"),
        minute={"proxy_read_timeout 60s": "proxy_read_timeout 1s"},
        farewell={"worker_shutdown_timeout 10m": "worker_shutdown_timeout 1s"},
        second={"# server 127.0.0.1:8001;": "server 127.0.0.1:{port};"},
        away=502,
    ),
    "haproxy": Program(
        file="haproxy.cfg",
        command=["haproxy", "-W", "-f", "{file}"],
        public={
            "bind :443": "bind 127.0.0.1:{port}",
            "maxconn 10000": "maxconn 200",  # a machine of tests may not have as many descriptors
        },
        reload=signal.SIGUSR2,
        unix=("127.0.0.1:8000", "unix@{path}"),
        minute={"timeout tunnel 60s": "timeout tunnel 1s"},
        farewell={"hard-stop-after 10m": "hard-stop-after 1s"},
        second={"# server two 127.0.0.1:8001": "server two 127.0.0.1:{port}"},
        away=503,
    ),
    "apache": Program(
        file="apache.conf",
        command=["apache2", "-D", "FOREGROUND", "-f", "{file}"],
        public={
            "Listen 443": "Listen 127.0.0.1:{port}",
            "*:443": "*:{port}",
            "ServerRoot /etc/apache2": "ServerRoot {home}",
            "/run/apache2/": "{home}/",
            "/var/log/apache2/error.log": "/dev/stderr",
        },
        reload=signal.SIGUSR1,
        unix=("http://127.0.0.1:8000", "unix:{path}|http://127.0.0.1"),
        minute={"Timeout 60": "Timeout 1", " timeout=60 ": " timeout=1 "},
        second={_APACHE_PASS: _APACHE_BALANCER, "127.0.0.1:8001": "127.0.0.1:{port}"},
        away=503,
    ),
    "stunnel": Program(
        file="stunnel.conf",
        command=["stunnel", "{file}"],
        public={"accept = 443": "accept = 127.0.0.1:{port}", "/run/stunnel.pid": "{home}/stunnel.pid"},
        reload=signal.SIGHUP,
        app="docs.code.proxies.app:behind_stunnel",
        unix=("127.0.0.1:8000", "{path}"),
        minute={"TIMEOUTidle = 60": "TIMEOUTidle = 1"},
        second={
            "; connect = 127.0.0.1:8001": "connect = 127.0.0.1:{port}",
            "; failover = rr": "failover = rr",
        },
        away=None,
    ),
}
KINDS = tuple(PROGRAMS)


class Proxy:
    """A proxy that runs: visitors come in at :attr:`port`."""

    def __init__(self, kind: str, changes: Changes, home: Path) -> None:
        self.program = PROGRAMS[kind]
        self.port = free_port()
        self._home = home
        self._config = home / self.program.file
        self._log = home / "log"
        self.configure(changes)
        program, *options = [word.replace("{file}", str(self._config)) for word in self.program.command]
        found = shutil.which(program, path=_PATH)
        assert found, f"there is no {program}; scripts/test installs it"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [found, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=home
            )

    @property
    def log(self) -> str:
        """All that it has printed."""
        return self._log.read_text(errors="replace")

    def configure(self, changes: Changes) -> None:
        """Write its configuration, as it is in the documentation but for these changes."""
        text = (_FOLDER / self.program.file).read_text()
        places = {"{port}": str(self.port), "{home}": str(self._home)}
        for old, new in {**changes, **self.program.public, "/etc/ssl/example.com": "{home}"}.items():
            assert old in text, f"{self.program.file} has no {old!r} any more"
            for name, place in places.items():
                new = new.replace(name, place)
            text = text.replace(old, new)
        self._config.write_text(text)

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """Open a connection from an address of this machine's, without TLS."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(source, 0))

    def reload(self) -> None:
        """Have it read its configuration again, as soon as it can be told to."""
        # HAProxy's master executes itself anew when it has a worker: a signal would get lost meanwhile.
        wait_for(
            lambda: self.program.reload in _read_caught(self.process.pid), what="its handler of the signal"
        )
        self.process.send_signal(self.program.reload)

    def stop(self) -> None:
        """End it, and all that it has started; what still has connections, as Apache waits for, by force."""
        children = child_pids(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            for pid in (*children, self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()


@contextlib.contextmanager
def make_folder() -> Iterator[Path]:
    """Make a folder that others may look into: nginx and Apache, started as root, serve as somebody else."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def start_proxy(kind: str, changes: Changes) -> Iterator[Proxy]:
    """
    Run a proxy for the length of a ``with`` block.

    Args:
        kind: One of :data:`KINDS`.
        changes: Of its configuration; where gunicorn is, at least, as the program says it.
    """
    with make_folder() as home:
        certificate, key, _ = (path.read_bytes() for path in certificates())
        (home / "fullchain.pem").write_bytes(certificate)
        (home / "privkey.pem").write_bytes(key)
        (home / "combined.pem").write_bytes(certificate + key)
        proxy = Proxy(kind, changes, home)
        try:
            wait_for(lambda: _is_ready(proxy), 10, f"{kind} to listen")
            yield proxy
        finally:
            proxy.stop()


def _read_caught(pid: int) -> set[int]:
    """Return the signals for which a process has a handler."""
    (line,) = re.findall(r"^SigCgt:\s+(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return {number + 1 for number in range(64) if int(line, 16) >> number & 1}


def _is_ready(proxy: Proxy) -> bool:
    assert proxy.process.poll() is None, f"{proxy.program.file} did not start:\n{proxy.log}"
    try:
        with proxy.connect() as sock, client_context().wrap_socket(sock, server_hostname="example.com"):
            return True
    except OSError:
        return False
