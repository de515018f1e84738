"""The Django project with routes in its settings as an ASGI application, with ``async`` handlers, too."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.entrances.config_django_asgi_settings")

from ws4py_middleware.async_websocket import WebSocket
from ws4py_middleware.config.django import auser_of, get_asgi_application
from ws4py_middleware.messaging import Message


async def count_users() -> int:
    from django.contrib.auth.models import User

    number: int = await User.objects.acount()
    return number


class Count(WebSocket):
    async def opened(self) -> None:
        await self.send(f"{await count_users()} users")

    async def received_message(self, message: Message) -> None:
        await self.send(f"{message} {await count_users()}")


async def count(ws: Any) -> None:
    await ws.send(f"{await count_users()} users")
    async for message in ws:
        await ws.send(f"{message} {await count_users()}")


async def is_somebody(scope: dict[str, Any], **params: Any) -> Any:
    user = await auser_of(scope)
    return user.is_authenticated or (401, "who are you?")


app = get_asgi_application()
