from __future__ import annotations

import os

from flask import Flask

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.hub import Hub, set_hub
from ws4py_middleware.messaging import Message

set_hub(Hub(os.environ.get("REDIS_URL", "redis://localhost:6379/0")))


class Chat(WebSocket):
    def opened(self) -> None:
        self.join(self.params["room"])

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.params["room"], message)


app = Flask(__name__)
app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/chat/<room>": Chat})
