"""
The echo server with the limits that the Autobahn testsuite needs, for ``scripts/autobahn``.

Its cases 9.* send messages of 16 MiB in up to 65,536 fragments; 12.* and 13.* negotiate
permessage-deflate with every window size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ws4py_middleware import EchoWebSocket, WebSocketMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


LIMITS: dict[str, Any] = {
    "max_message_size": 16 * 1024 * 1024,
    "max_fragments": 65_536,
    "write_limit": 32 * 1024 * 1024,
    "compression": True,
}


def site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer what is not a WebSocket."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Connect to / with a WebSocket.\n"]


app = WebSocketMiddleware(site, {"/": EchoWebSocket}, **LIMITS)
