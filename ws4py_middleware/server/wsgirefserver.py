"""
WebSockets on the server of the standard library, as ws4py had them: for tests and demonstrations.

::

    from wsgiref.simple_server import make_server
    from ws4py_middleware.websocket import EchoWebSocket
    from ws4py_middleware.server.wsgirefserver import WSGIServer, WebSocketWSGIRequestHandler
    from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication

    server = make_server("", 9000, server_class=WSGIServer,
                         handler_class=WebSocketWSGIRequestHandler,
                         app=WebSocketWSGIApplication(handler_cls=EchoWebSocket))
    server.initialize_websockets_manager()
    try:
        server.serve_forever()
    finally:
        server.server_close()

Requests are answered one at a time, and a client that connects and asks nothing holds up the others;
mix in ``socketserver.ThreadingMixIn`` against that. The WebSockets are with a manager of the server's own,
so any number of them may be open. :class:`~ws4py_middleware.wsgi.WebSocketMiddleware` works here too, and
its connections are also with that manager.
"""

from __future__ import annotations

import atexit
import sys
import threading
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler
from wsgiref.simple_server import WSGIServer as _WSGIServer

from ..handover.answers import without_hop_by_hop
from ..manager import WebSocketManager
from ..opening import MANAGER
from .wsgiutils import SOCKET, WEBSOCKET, give_up, take_out

__all__ = ["WSGIServer", "WebSocketWSGIHandler", "WebSocketWSGIRequestHandler"]

#: Longest request line, as in wsgiref.
_MAX_LINE = 65536


class WebSocketWSGIHandler(ServerHandler):
    """Call the application once, and give the WebSocket that it makes to the server."""

    request_handler: Any = None

    environ: dict[str, Any]
    headers_sent: bool
    status: str | None

    def setup_environ(self) -> None:
        """Put the socket of a request that asks for an upgrade into ``environ["ws4py.socket"]``."""
        super().setup_environ()
        server = getattr(self.request_handler, "server", None)
        # Another server would close it.
        if isinstance(server, WSGIServer) and "HTTP_UPGRADE" in self.environ:
            self.environ[SOCKET] = self.request_handler.connection
            self.environ[MANAGER] = server.initialize_websockets_manager()
            # wsgiref's HTTP/1.0 can say neither yes nor no to an upgrade.
            self.http_version = "1.1"

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """Begin the answer; the headers of a 101 are hop-by-hop, which wsgiref asserts that none is."""
        if not (status.startswith("101") and SOCKET in self.environ):
            return super().start_response(status, headers, exc_info)
        write = super().start_response(status, without_hop_by_hop(headers), exc_info)
        self.headers = self.headers_class(headers)
        return write

    def finish_response(self) -> None:
        """Complete the answer; the WebSocket goes to the server, and the keys leave the environ."""
        environ = self.environ
        try:
            super().finish_response()
        finally:
            give_up(environ.get(WEBSOCKET))
            for key in (SOCKET, WEBSOCKET, MANAGER):
                environ.pop(key, None)

    def finish_content(self) -> None:
        """Complete an answer without a body, which that of an upgrade is."""
        websocket = self.environ.get(WEBSOCKET)
        if websocket is None or SOCKET not in self.environ or self.headers_sent:
            super().finish_content()
            return
        self.send_headers()
        self._flush()
        request = self.request_handler
        take_out(websocket, request.connection, request.rfile)
        request.server.link_websocket_to_server(websocket)

    def handle_error(self) -> None:
        """Answer with 500; Ctrl-C and ``sys.exit()`` end the server, where wsgiref would swallow them."""
        if not isinstance(sys.exc_info()[1], Exception):
            self.status = self.status or self.error_status  # for the access log
            raise  # noqa: PLE0704 - it is called where the exception is caught
        super().handle_error()


class WebSocketWSGIRequestHandler(WSGIRequestHandler):
    """One connection with a client: one request, and perhaps a WebSocket."""

    #: What calls the application.
    WebSocketWSGIHandler = WebSocketWSGIHandler

    def get_environ(self) -> dict[str, Any]:
        """Make the environ, without headers that would pass for others in it, such as ``X_Forwarded_For``."""
        for name in {name for name in self.headers if "_" in name}:
            del self.headers[name]
        return super().get_environ()

    def handle(self) -> None:
        """Read one request and answer it; as in the base class, which leaves no room for the handler."""
        self.raw_requestline = self.rfile.readline(_MAX_LINE + 1)
        if len(self.raw_requestline) > _MAX_LINE:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
            return
        if not self.parse_request():
            return
        server: Any = self.server
        rfile: Any = self.rfile
        wfile: Any = self.wfile
        handler = self.WebSocketWSGIHandler(
            rfile, wfile, self.get_stderr(), self.get_environ(), multithread=False
        )
        handler.request_handler = self
        handler.run(server.get_app())


class WSGIServer(_WSGIServer):
    """``wsgiref``'s server, with a manager for WebSockets."""

    #: What runs the WebSockets; ``None`` before the first and after the end.
    manager: WebSocketManager | None = None

    _manager_lock = threading.Lock()

    def initialize_websockets_manager(self) -> WebSocketManager:
        """Start the manager now, and not with the first WebSocket; again does nothing."""
        with self._manager_lock:
            manager = self.manager
            if manager is None:
                manager = WebSocketManager()
                # A script that ends without server_close() ends, and its peers are told.
                manager.daemon = True
                manager.start()
                atexit.register(manager.shutdown)
                self.manager = manager
            return manager

    def link_websocket_to_server(self, ws: Any) -> None:
        """Let the manager run a WebSocket that an application has made."""
        self.initialize_websockets_manager().add(ws)

    def shutdown_request(self, request: Any) -> None:
        """End the connection; that of a WebSocket is not there any more."""
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the listening socket and, with 1001, all WebSockets; their manager ends with them."""
        super().server_close()
        with self._manager_lock:
            manager, self.manager = self.manager, None
        if manager is not None:
            atexit.unregister(manager.shutdown)
            manager.shutdown()
            manager.join()
