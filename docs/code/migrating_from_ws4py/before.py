from __future__ import annotations

from wsgiref.simple_server import make_server

from ws4py.messaging import Message
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import WebSocket

people: list[WebSocket] = []


class Chat(WebSocket):
    def opened(self) -> None:
        people.append(self)

    def received_message(self, message: Message) -> None:
        for each in people.copy():
            each.send(f"somebody: {message}")

    def closed(self, code: int, reason: str | None = None) -> None:
        people.remove(self)


server = make_server(
    "127.0.0.1",
    9000,
    app=WebSocketWSGIApplication(handler_cls=Chat),
    server_class=WSGIServer,
    handler_class=WebSocketWSGIRequestHandler,
)
server.initialize_websockets_manager()
try:
    server.serve_forever()
finally:
    server.server_close()
