"""gevent-websocket: one greenlet for each connection, under its own gunicorn worker class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmarks.apps.common import answer_json, spin_when_asked

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

members: set[Any] = set()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Echo, rewrite, broadcast, or answer plain HTTP."""
    ws = environ.get("wsgi.websocket")
    if ws is None:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
        return [b"hello\n"]
    if environ["PATH_INFO"] == "/broadcast":
        broadcast(ws)
    else:
        rewriting = environ["PATH_INFO"] == "/json"
        while (message := ws.receive()) is not None:
            ws.send(answer_json(message) if rewriting else message)
    return []


def broadcast(ws: Any) -> None:
    """Send what one member says to all members."""
    members.add(ws)
    try:
        while (message := ws.receive()) is not None:
            for member in list(members):
                member.send(message)
    finally:
        members.discard(ws)


spin_when_asked()
