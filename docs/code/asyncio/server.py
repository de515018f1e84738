from __future__ import annotations

import asyncio

from ws4py_middleware.async_websocket import EchoWebSocket
from ws4py_middleware.server.asyncioserver import WebSocketProtocol


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: WebSocketProtocol(EchoWebSocket), "127.0.0.1", 9007)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
