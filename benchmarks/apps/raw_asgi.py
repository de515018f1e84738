"""An ASGI application without a library: what the server itself costs, and the least that any library can."""

from __future__ import annotations

from typing import Any

from benchmarks.apps.common import answer_json, hello_asgi, spin_when_asked

members: set[Any] = set()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Echo, broadcast, or answer plain HTTP."""
    if scope["type"] == "http":
        await hello_asgi(send)
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await {"/broadcast": broadcast, "/json": rewrite}.get(scope["path"], echo)(receive, send)


async def echo(receive: Any, send: Any) -> None:
    """Send back what comes."""
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def rewrite(receive: Any, send: Any) -> None:
    """Read each message, and write it again."""
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": answer_json(event["text"])})


async def broadcast(receive: Any, send: Any) -> None:
    """Send what one member says to all members."""
    members.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            for member in list(members):
                await member({"type": "websocket.send", "text": event["text"]})
    finally:
        members.discard(send)


spin_when_asked()
