"""This library: a WSGI application whose workers share a room through Redis."""

from __future__ import annotations

from benchmarks.apps.ours import hello
from benchmarks.apps.rooms import PATH, ROOM, make_hub, tell_ready
from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.hub import set_hub

__all__ = ["app"]


class Member(WebSocket):
    """Hears what is published."""

    def opened(self) -> None:
        """Become a member."""
        self.join(ROOM)


set_hub(make_hub())
app = WebSocketMiddleware(hello, {PATH: Member})
tell_ready()
