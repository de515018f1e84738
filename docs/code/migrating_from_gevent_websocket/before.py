from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from geventwebsocket import Resource, WebSocketApplication, WebSocketServer


class Chat(WebSocketApplication):
    def on_message(self, message: str | None) -> None:
        if message is None:
            return
        for client in self.ws.handler.server.clients.values():
            client.ws.send(f"somebody: {message}")


WebSocketServer(("127.0.0.1", 9000), Resource([("/chat", Chat)])).serve_forever()
