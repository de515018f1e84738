from __future__ import annotations

from flask import Flask

from ws4py_middleware.config import websockets_from_config

app = Flask(__name__)
app.wsgi_app = websockets_from_config(app.wsgi_app, "ws4py_middleware.toml")
