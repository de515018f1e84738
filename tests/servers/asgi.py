"""The ASGI servers, each with every implementation of WebSockets that it brings."""

from __future__ import annotations

import inspect
import sys

from tests.servers.gunicorn import has_control_socket
from tests.servers.kinds import Kind, Setup

_MAX_SIZE = str(16 * 2**20)


def _uvicorn(setup: Setup) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(setup.port)]
    command += ["--ws", setup.kind.removeprefix("uvicorn-")]
    command += ["--ssl-certfile", setup.pem[0], "--ssl-keyfile", setup.pem[1]] if setup.pem else []
    return [*command, *setup.options, setup.app]


def _hypercorn(setup: Setup) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "hypercorn",
        "--bind",
        f"127.0.0.1:{setup.port}",
        "--access-logfile",
        "-",
    ]
    command += ["--certfile", setup.pem[0], "--keyfile", setup.pem[1]] if setup.pem else []
    return [*command, *setup.options, setup.app]


def _daphne(setup: Setup) -> list[str]:
    from daphne.server import Server

    command = [sys.executable, "-m", "daphne", "--access-log", "-"]
    if "websocket_max_message_size" in inspect.signature(Server).parameters:
        # 1 MiB otherwise; the other servers have 16, or no limit.
        command += ["--websocket-max-message-size", _MAX_SIZE, "--websocket-max-frame-size", _MAX_SIZE]
    if setup.pem:
        cert, key = setup.pem
        command += ["-e", f"ssl:{setup.port}:privateKey={key}:certKey={cert}:interface=127.0.0.1"]
    else:
        command += ["--bind", "127.0.0.1", "--port", str(setup.port)]
    return [*command, *setup.options, setup.app]


def _granian(setup: Setup) -> list[str]:
    command = [sys.executable, "-m", "granian", "--host", "127.0.0.1", "--port", str(setup.port)]
    command += ["--interface", "asgi", "--access-log"]
    command += ["--ssl-certificate", setup.pem[0], "--ssl-keyfile", setup.pem[1]] if setup.pem else []
    return [*command, *setup.options, setup.app]


def _gunicorn(setup: Setup) -> list[str]:
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "asgi", "--workers", "1"]
    command += ["--bind", f"127.0.0.1:{setup.port}", "--access-logfile", "-"]
    command += ["--certfile", setup.pem[0], "--keyfile", setup.pem[1]] if setup.pem else []
    command += ["--no-control-socket"] if has_control_socket() else []
    return [*command, *setup.options, setup.app]


FAMILY = {
    "uvicorn-websockets": Kind(command=_uvicorn, interface="asgi", threaded=True),
    "uvicorn-websockets-sansio": Kind(command=_uvicorn, interface="asgi", threaded=True),
    "uvicorn-wsproto": Kind(command=_uvicorn, interface="asgi", threaded=True),
    "hypercorn": Kind(command=_hypercorn, interface="asgi", threaded=True, forks=True),
    # The same server; the client has another way to ask for a WebSocket.
    "hypercorn-http2": Kind(
        command=_hypercorn, interface="asgi", threaded=True, forks=True, http2=True, everywhere=False
    ),
    "daphne": Kind(command=_daphne, interface="asgi", threaded=True),
    "granian": Kind(command=_granian, interface="asgi", threaded=True, forks=True),
    "gunicorn-asgi": Kind(command=_gunicorn, interface="asgi", threaded=True, forks=True),
}
