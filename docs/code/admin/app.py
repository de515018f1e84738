from __future__ import annotations

from flask import Flask

from ws4py_middleware import EchoWebSocket, WebSocketMiddleware
from ws4py_middleware.admin import expose

expose("/run/app/ws-{pid}.sock")

app = Flask(__name__)
app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/echo": EchoWebSocket})
