"""websockets on asyncio, and on uvloop when that is the second argument."""

from __future__ import annotations

import asyncio
import http
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from benchmarks.apps.common import MAX_SIZE, answer_json, spin_when_asked

members: set[ServerConnection] = set()


async def handle(ws: ServerConnection) -> None:
    """Echo, broadcast or rewrite, by the path."""
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
            await ws.send(message if ws.request.path == "/echo" else answer_json(message))
    except ConnectionClosed:
        return


def answer_http(ws: ServerConnection, request: Request) -> Response | None:
    """Answer plain HTTP beside the WebSockets."""
    return ws.respond(http.HTTPStatus.OK, "hello\n") if request.path == "/" else None


async def main(port: int) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended."""
    async with serve(
        handle, "127.0.0.1", port, process_request=answer_http, max_size=MAX_SIZE, backlog=4096
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    spin_when_asked()
    if "uvloop" in sys.argv:
        import uvloop

        uvloop.install()
    asyncio.run(main(int(sys.argv[1])))
