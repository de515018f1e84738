from __future__ import annotations

from flask import Flask

from ws4py_middleware import EchoWebSocket, WebSocketMiddleware

app = Flask(__name__)
app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/echo": EchoWebSocket}, drain_window=10, drain_grace=5)
