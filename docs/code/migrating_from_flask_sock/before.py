from __future__ import annotations

from flask import Flask
from flask_sock import Sock
from simple_websocket import Server

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25, "max_message_size": 65536}
sock = Sock(app)


@sock.route("/echo/<name>")
def echo(ws: Server, name: str) -> None:
    while True:
        data = ws.receive()
        ws.send(f"{name}: {data}")
