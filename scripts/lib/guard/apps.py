"""What the servers of the guard run: an echo and a room, on every kind of server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.apps.ours import Broadcast, hello
from scripts.lib.guard.load import GREETING
from ws4py_middleware import AsyncWebSocket, EchoWebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import Message

__all__ = ["Member", "asgi", "make_cherrypy", "wsgi"]

# No handler here blocks, and strace stops each thread at each call: on a busy machine for more than the five
# milliseconds behind which the loop would go on in another thread.
WebSocketManager.handon_after = 1.0


class Member(Broadcast):
    """Sends what one member says to all members, once it has said that it is one."""

    def opened(self) -> None:
        """Become a member."""
        super().opened()
        self.send(GREETING)


# Turns take as long as they take: that others get theirs between two broadcasts where the machine is slow is
# right, and is not what is counted.
wsgi = WebSocketMiddleware(
    hello, {"/echo": EchoWebSocket, "/broadcast": Member}, turn_time=60.0, ping_interval=None
)


class AsyncEcho(AsyncWebSocket):
    """Sends each message back, on the loop."""

    async def received_message(self, message: Message) -> None:
        """Send it back."""
        await self.send(message)


async def _hello(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello\n"})


asgi = WebSocketASGI(_hello, {"/echo": AsyncEcho})


def make_cherrypy() -> Any:
    """Make the application for CherryPy."""
    import cherrypy

    from ws4py_middleware.server.cherrypyserver import WebSocketTool

    cherrypy.tools.websocket = WebSocketTool()

    class Root:
        @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
        def index(self) -> str:
            return "hello"

        @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
        def echo(self) -> None: ...

    tool = {"on": True, "handler_cls": EchoWebSocket, "turn_time": 60.0, "ping_interval": None}
    config = {"/echo": {f"tools.websocket.{name}": value for name, value in tool.items()}}
    return cherrypy.Application(Root(), config=config)


def __getattr__(name: str) -> Any:
    if name == "cherrypy":
        return make_cherrypy()
    raise AttributeError(name)
