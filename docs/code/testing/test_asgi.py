from __future__ import annotations

import asyncio

from fastapi import FastAPI

from ws4py_middleware import AsyncWebSocket, WebSocketASGI
from ws4py_middleware.messaging import Message
from ws4py_middleware.testing import WebSocketTestClient


class Later(AsyncWebSocket):
    async def received_message(self, message: Message) -> None:
        await asyncio.sleep(3600)
        await self.send(f"an hour ago you said: {message}")


app = WebSocketASGI(FastAPI(), {"/later": Later})


def test_an_hour_takes_no_time() -> None:
    with WebSocketTestClient(app) as client, client.connect("/later") as ws:
        ws.send("hi")
        assert ws.receive(timeout=3600) == "an hour ago you said: hi"
