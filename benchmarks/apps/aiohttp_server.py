"""aiohttp, on uvloop."""

from __future__ import annotations

import sys

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.apps.common import MAX_SIZE, answer_json, spin_when_asked

members: set[web.WebSocketResponse] = set()


async def hello(request: web.Request) -> web.Response:
    """Answer plain HTTP beside the WebSockets."""
    return web.Response(text="hello\n")


async def handle(request: web.Request) -> web.WebSocketResponse:
    """Echo, broadcast or rewrite, by the path."""
    ws = web.WebSocketResponse(max_msg_size=MAX_SIZE)
    await ws.prepare(request)
    if request.path == "/broadcast":
        members.add(ws)
    try:
        async for message in ws:
            if message.type is not WSMsgType.TEXT:
                break
            if request.path == "/echo":
                await ws.send_str(message.data)
            elif request.path == "/json":
                await ws.send_str(answer_json(message.data))
            else:
                for member in list(members):
                    await member.send_str(message.data)
    except ConnectionResetError:  # the peer has gone while it was answered
        pass
    finally:
        members.discard(ws)
    return ws


def main(port: int) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended."""
    app = web.Application()
    app.add_routes(
        [web.get("/", hello), *(web.get(path, handle) for path in ("/echo", "/broadcast", "/json"))]
    )
    spin_when_asked()
    web.run_app(app, host="127.0.0.1", port=port, loop=uvloop.new_event_loop(), backlog=4096, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
