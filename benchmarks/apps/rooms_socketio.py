"""Flask-SocketIO with Redis as its message queue, by WebSocket only: four workers share a port."""

from __future__ import annotations

from flask import Flask
from flask_socketio import SocketIO, join_room

from benchmarks.apps.rooms import ROOM, redis_url, tell_ready

__all__ = ["app"]

app = Flask(__name__)
socketio = SocketIO(app, message_queue=redis_url(), transports=["websocket"], cors_allowed_origins="*")


@socketio.on("connect")  # type: ignore[untyped-decorator,unused-ignore]
def enter() -> None:
    """Become a member."""
    join_room(ROOM)


tell_ready()
