from __future__ import annotations

import asyncio

from ws4py_middleware import AsyncWebSocketClient


async def main() -> None:
    async with AsyncWebSocketClient("ws://localhost:9000/echo") as client:
        await client.send("hello, asyncio")
        async for message in client:
            print(message)
            await client.close()


asyncio.run(main())
