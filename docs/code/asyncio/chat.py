from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ws4py_middleware import AsyncWebSocket
from ws4py_middleware.messaging import Message
from ws4py_middleware.process import get_task_manager
from ws4py_middleware.server.asyncioserver import serve


# [class]
class Chat(AsyncWebSocket):
    async def opened(self) -> None:
        self.join("lobby")

    async def received_message(self, message: Message) -> None:
        await self.send("you said")
        await self.send(message)

    def closed(self, code: int, reason: str | None = None) -> None:
        print("gone:", code)


# [/class]


# [function]
async def chat(ws: AsyncWebSocket) -> None:
    async for message in ws:
        await ws.send(message)


# [/function]


async def serve_until(ready: Callable[[asyncio.Server], Awaitable[None]]) -> None:
    server = await serve(Chat, "127.0.0.1", 0)
    await ready(server)
    # [end]
    server.close()
    await get_task_manager().shutdown_async()  # 1001 to all, three seconds, then the rest is dropped
    # [/end]
