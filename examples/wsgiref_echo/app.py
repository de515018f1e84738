"""
An echo server with nothing but the standard library and this package, with the classes that ws4py had for it.

    python app.py
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING
from wsgiref.simple_server import make_server

from ws4py_middleware.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication
from ws4py_middleware.websocket import EchoWebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

echo = WebSocketWSGIApplication(handler_cls=EchoWebSocket, max_message_size=16 * 1024 * 1024)


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Echo at ``/echo``, and say so elsewhere."""
    if environ["PATH_INFO"] == "/echo":
        return echo(environ, start_response)
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Connect to /echo with a WebSocket.\n"]


def main() -> None:
    """Serve until Ctrl-C or SIGTERM; all peers are told."""
    parser = argparse.ArgumentParser(description="An echo server on wsgiref.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    options = parser.parse_args()
    server = make_server(
        options.host, options.port, app, server_class=WSGIServer, handler_class=WebSocketWSGIRequestHandler
    )
    server.initialize_websockets_manager()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with contextlib.suppress(KeyboardInterrupt):
        try:
            server.serve_forever()
        finally:
            server.server_close()


if __name__ == "__main__":
    main()
