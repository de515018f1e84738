"""websockets on asyncio."""

from __future__ import annotations

import asyncio
import http
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

members: set[ServerConnection] = set()


async def handle(ws: ServerConnection) -> None:
    """Echo or broadcast, by the path."""
    assert ws.request is not None
    if ws.request.path == "/broadcast":
        members.add(ws)
        try:
            async for message in ws:
                broadcast(members, message)
        finally:
            members.discard(ws)
        return
    try:
        async for message in ws:
            await ws.send(message)
    except ConnectionClosed:
        return


def answer_http(ws: ServerConnection, request: Request) -> Response | None:
    """Answer plain HTTP beside the WebSockets."""
    return ws.respond(http.HTTPStatus.OK, "hello\n") if request.path == "/" else None


async def main(port: int) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended."""
    async with serve(
        handle, "127.0.0.1", port, process_request=answer_http, max_size=16 * 2**20, backlog=4096
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
