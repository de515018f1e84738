from __future__ import annotations

from flask import Flask

from chat.handlers import Chat, Upload
from ws4py_middleware import Route
from ws4py_middleware.config import websockets_from_config

app = Flask(__name__)
app.wsgi_app = websockets_from_config(
    app.wsgi_app,
    {
        "/chat/<room>": {"handler": Chat, "max_message_size": "256 KiB"},
        "/upload": Route(Upload, max_message_size=64 * 2**20),
    },
)
