"""What is known of each ASGI server, and how the tests speak to one."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.entrances.wire import build, read_head
from tests.servers import Server, wait_for

APP = "tests.entrances.asgi_app:app"


class Facts(NamedTuple):
    """What one server does in its own way; ``docs/howto/asgi.md`` has the same table."""

    #: What becomes of frames in the same segment as the request: they are kept, lost, or refused with a 400.
    early: str = "lost"
    #: A refusal is the whole response, and not just 403.
    response: bool = True
    #: A ``send()`` for a client that does not read waits.
    backpressure: bool = True
    #: What is added to close codes from 1001 to 1999.
    codes: int = 0
    #: The code that is reported for a client's Close.
    reports: int | None = None
    #: Empty messages arrive.
    empty: bool = True
    #: How long after SIGTERM the connections are closed with 1001, at most; seconds.
    term: float = 0.5


KINDS = {
    "uvicorn-websockets": Facts(),
    "uvicorn-websockets-sansio": Facts(),
    "uvicorn-wsproto": Facts(),
    "hypercorn": Facts(early="400", reports=1006, term=4.0),
    "daphne": Facts(response=False, backpressure=False, codes=3000, empty=False),
    "granian": Facts(early="kept"),
    "gunicorn-asgi": Facts(response=False),
}


@contextlib.contextmanager
def client(server: Server, target: str, **options: Any) -> Iterator[ClientConnection]:
    """Connect as a foreign client does."""
    with connect(server.ws_url + target, max_size=None, compression=None, **options) as websocket:
        yield websocket


def raw(server: Server, target: str) -> socket.socket:
    """Connect a socket, and do the opening handshake."""
    sock = server.connect()
    sock.sendall(build(target))
    assert read_head(sock).status == 101
    return sock


def reset(sock: socket.socket) -> None:
    """End a connection as one that is cut."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def get_json(server: Server, path: str) -> Any:
    return json.loads(server.http(path).body)


def wait_for_event(server: Server, start: str, timeout: float = 5.0) -> str:
    """Wait for the event that begins so, and return it; there is exactly one."""

    def find() -> list[str]:
        return [event for event in get_json(server, "/events") if event.startswith(start)]

    wait_for(lambda: bool(find()), timeout, start)
    (event,) = find()
    return event


def close_code(websocket: ClientConnection) -> int | None:
    """Read until the connection is closed, and return the server's code."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            websocket.recv(timeout=10)
    return websocket.close_code
