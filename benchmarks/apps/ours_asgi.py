"""This library: an ASGI application with handlers on the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.apps.common import MAX_SIZE, answer_json, hello_asgi, spin_when_asked
from ws4py_middleware import AsyncWebSocket, WebSocketASGI

if TYPE_CHECKING:
    from ws4py_middleware.messaging import Message


class Echo(AsyncWebSocket):
    """Sends back what comes."""

    async def received_message(self, message: Message) -> None:
        """Answer."""
        await self.send(message)


class Json(AsyncWebSocket):
    """Reads each message, and writes it again."""

    async def received_message(self, message: Message) -> None:
        """Answer."""
        await self.send(answer_json(message.data))


class Broadcast(AsyncWebSocket):
    """Sends what one member says to all members."""

    async def opened(self) -> None:
        """Become a member."""
        self.join("all")

    async def received_message(self, message: Message) -> None:
        """Tell everybody."""
        self.hub.publish("all", message)


async def site(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer plain HTTP beside the WebSockets."""
    if scope["type"] == "http":
        await hello_asgi(send)


app = WebSocketASGI(site, {"/echo": Echo, "/broadcast": Broadcast, "/json": Json}, max_message_size=MAX_SIZE)
spin_when_asked()
