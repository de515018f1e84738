from __future__ import annotations

from wsgiref.simple_server import make_server

from ws4py_middleware.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication
from ws4py_middleware.websocket import EchoWebSocket

server = make_server(
    "",
    9000,
    server_class=WSGIServer,
    handler_class=WebSocketWSGIRequestHandler,
    app=WebSocketWSGIApplication(handler_cls=EchoWebSocket),
)
server.initialize_websockets_manager()
try:
    server.serve_forever()
finally:
    server.server_close()
