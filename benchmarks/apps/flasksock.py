"""Flask-Sock (simple-websocket): one thread of the server and one of its own for each connection."""

from __future__ import annotations

import time
from typing import Any

from flask import Flask
from flask_sock import Sock

from benchmarks.apps.common import answer_json, spin_when_asked

app = Flask(__name__)
sock = Sock(app)
members: set[Any] = set()


@app.get("/")
def hello() -> str:
    """Answer plain HTTP beside the WebSockets."""
    return "hello\n"


def echo(ws: Any) -> None:
    """Send back what comes."""
    while True:
        ws.send(ws.receive())


def rewrite(ws: Any) -> None:
    """Read each message, and write it again."""
    while True:
        ws.send(answer_json(ws.receive()))


def sleep(ws: Any) -> None:
    """Send back what comes, after a second."""
    while True:
        message = ws.receive()
        time.sleep(1)
        ws.send(message)


def broadcast(ws: Any) -> None:
    """Send what one member says to all members."""
    members.add(ws)
    try:
        while True:
            message = ws.receive()
            for member in list(members):
                member.send(message)
    finally:
        members.discard(ws)


sock.route("/echo")(echo)
sock.route("/broadcast")(broadcast)
sock.route("/json")(rewrite)
sock.route("/sleep")(sleep)
spin_when_asked()
