"""
A process without any WebSocket that publishes to the room, in each library's own way.

``python -m benchmarks.apps.rooms_publisher ours|channels|socketio``: a line ``FIRST COUNT PAUSE`` on standard
input publishes so many messages, numbered from FIRST on, PAUSE seconds apart; it answers with a line of the
nanoseconds of the clock at which it began and ended.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from benchmarks.apps.rooms import ROOM, make_hub, make_message, redis_url, set_up_django


async def run(publish: Callable[[str], Awaitable[None]]) -> None:
    """Do what the lines say."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        first, count, pause = int(line.split()[0]), int(line.split()[1]), float(line.split()[2])
        began = due = time.monotonic_ns()
        for number in range(first, first + count):
            await asyncio.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9)) if pause else None
            due += int(pause * 1e9)
            await publish(make_message(number))
        print(began, time.monotonic_ns(), flush=True)


def publish_ours() -> Callable[[str], Awaitable[None]]:
    """Publish by a hub."""
    hub = make_hub()

    async def publish(text: str) -> None:
        hub.publish(ROOM, text)

    return publish


def publish_channels() -> Callable[[str], Awaitable[None]]:
    """Publish by the channel layer."""
    set_up_django()
    from channels.layers import get_channel_layer

    layer = get_channel_layer()

    async def publish(text: str) -> None:
        await layer.group_send(ROOM, {"type": "room.message", "text": text})

    return publish


def publish_socketio() -> Callable[[str], Awaitable[None]]:
    """Publish by the message queue."""
    from flask_socketio import SocketIO

    socketio = SocketIO(message_queue=redis_url())

    async def publish(text: str) -> None:
        socketio.emit("message", text, to=ROOM)

    return publish


if __name__ == "__main__":
    kinds = {"ours": publish_ours, "channels": publish_channels, "socketio": publish_socketio}
    asyncio.run(run(kinds[sys.argv[1]]()))
