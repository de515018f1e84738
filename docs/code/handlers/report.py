from __future__ import annotations

import time

from flask import Flask

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message


class Report(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send("one moment")  # is sent at once, not after the hook
        time.sleep(1)  # a query, perhaps
        self.send("done")


app = Flask(__name__)
app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/report": Report})
