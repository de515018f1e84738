from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from ws4py_middleware import AsyncWebSocket, Route, WebSocket, WebSocketASGI
from ws4py_middleware.messaging import Message

site = FastAPI()


class Chat(WebSocket):  # hooks in a pool of threads; they may call databases
    def opened(self) -> None:
        self.join(self.params["room"])

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.params["room"], message)


class Ticker(AsyncWebSocket):  # hooks on the loop
    async def received_message(self, message: Message) -> None:
        await self.send(f"you said {message}")


async def echo(ws: AsyncWebSocket) -> None:  # a task; a plain function gets a thread
    async for message in ws:
        await ws.send(message)


async def members_only(scope: dict[str, Any], room: str) -> Any:
    return (401, "who are you?") if room == "board" else None


app = WebSocketASGI(
    site,
    {"/chat/<room>": Route(Chat, authorize=members_only), "/ticker": Ticker, "/echo": echo},
    max_message_size=64 * 1024,
)
