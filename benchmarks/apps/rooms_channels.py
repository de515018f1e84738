"""Django Channels with channels_redis: a consumer as its tutorial has it, with coroutines."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

from benchmarks.apps.rooms import PATH, ROOM, set_up_django, tell_ready

__all__ = ["app"]


set_up_django()


class Member(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Hears what is published."""

    async def connect(self) -> None:
        """Become a member."""
        await self.channel_layer.group_add(ROOM, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Be one no more."""
        await self.channel_layer.group_discard(ROOM, self.channel_name)

    async def room_message(self, event: dict[str, Any]) -> None:
        """Pass on what was published."""
        await self.send(text_data=event["text"])


app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path(PATH.lstrip("/"), Member.as_asgi())]),
    }
)
tell_ready()
