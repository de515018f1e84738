from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from gevent.pywsgi import WSGIServer
from werkzeug.exceptions import NotFound

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message


class Chat(WebSocket):
    def opened(self) -> None:
        self.join("chat")

    def received_message(self, message: Message) -> None:
        self.hub.publish("chat", f"somebody: {message}")


app = WebSocketMiddleware(NotFound(), {"/chat": Chat})  # all other paths
WSGIServer(("127.0.0.1", 9000), app).serve_forever()
