from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from ws4py_middleware.server.geventserver import WSGIServer
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication
from ws4py_middleware.websocket import EchoWebSocket

server = WSGIServer(("localhost", 9000), WebSocketWSGIApplication(handler_cls=EchoWebSocket))
server.serve_forever()
