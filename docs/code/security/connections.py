from __future__ import annotations

from flask import Flask

from ws4py_middleware import EchoWebSocket, Rate, WebSocketMiddleware

app = Flask(__name__)
app.wsgi_app = WebSocketMiddleware(
    app.wsgi_app,
    {"/echo": EchoWebSocket},
    trusted_proxies=1,
    max_connections_per_address=50,
    handshake_rate=Rate(30, per=60),
    connection_key=lambda environ: environ.get("user_id"),
    max_connections_per_key=5,
)
