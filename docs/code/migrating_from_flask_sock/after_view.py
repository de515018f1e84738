from __future__ import annotations

from typing import Any

from flask import Flask, Response, session

from ws4py_middleware import WebSocket, WebSocketMiddleware, upgrade

app = Flask(__name__)
app.secret_key = "yours"


def echo(ws: WebSocket, name: str) -> None:
    for message in ws:
        ws.send(f"{name}: {message}")


@app.post("/login/<name>")
def login(name: str) -> str:
    session["name"] = name
    return "welcome"


@app.get("/echo")
def echo_view() -> Any:
    if "name" not in session:
        return Response("log in first", 401)
    return upgrade(echo, name=session["name"])


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, ping_interval=25, max_message_size=65536)
