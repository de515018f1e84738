from __future__ import annotations

from flask import Flask

from ws4py_middleware import DeflateOptions, WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message


class Prices(WebSocket):
    def opened(self) -> None:
        self.join("prices")

    def received_message(self, message: Message) -> None:
        self.hub.publish("prices", str(message))


app = Flask(__name__)
compression = DeflateOptions(shared=True)
app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/prices": Prices}, compression=compression)
