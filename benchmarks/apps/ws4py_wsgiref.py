"""ws4py on the standard library's wsgiref server: one manager thread for all connections."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import make_server

from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket, WebSocket

from benchmarks.apps.common import spin_when_asked
from benchmarks.apps.ws4py_json import Json

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Server(WSGIServer):  # type: ignore[misc]
    """The server, with room for more than five connections that wait to be accepted."""

    request_queue_size = 4096


class Handler(WebSocketWSGIRequestHandler):  # type: ignore[misc]
    """The request handler, without a log line for every request."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main(port: int) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended."""

    class Broadcast(WebSocket):  # type: ignore[misc]
        """Sends what one member says to all members."""

        def received_message(self, message: Any) -> None:
            """Tell everybody."""
            server.manager.broadcast(message.data, message.is_binary)

    routes = {
        f"/{handler.__name__.lower()}": WebSocketWSGIApplication(handler_cls=handler)
        for handler in (Broadcast, Json)
    } | {"/echo": WebSocketWSGIApplication(handler_cls=EchoWebSocket)}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        route = routes.get(environ["PATH_INFO"])
        if route is not None:
            answer: Iterable[bytes] = route(environ, start_response)
            return answer
        # The server leaves the connection open unless the peer closes it, so the length must be known.
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
        return [b"hello\n"]

    server = make_server("127.0.0.1", port, app, server_class=Server, handler_class=Handler)
    server.initialize_websockets_manager()
    server.serve_forever()


if __name__ == "__main__":
    spin_when_asked()
    main(int(sys.argv[1]))
