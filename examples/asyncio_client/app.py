"""
Many clients in one asyncio loop: how long does a server take to answer?

    python app.py ws://127.0.0.1:9007/ --clients 500 --messages 20
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from time import perf_counter

from ws4py_middleware import AsyncWebSocketClient
from ws4py_middleware.exc import HandshakeError


async def talk(url: str, messages: int, doors: asyncio.Semaphore) -> list[float]:
    """Say something so many times; return how long each answer took, in seconds."""
    client = AsyncWebSocketClient(url, open_timeout=20)
    async with doors:  # a server accepts only so many at once
        await client.connect()
    times = []
    async with client:
        for number in range(messages):
            began = perf_counter()
            await client.send(f"message {number}")
            if await client.receive(timeout=20) is None:
                raise ConnectionError("the server has closed a connection")
            times.append(perf_counter() - began)
    return times


async def main() -> None:
    """Talk to a server with all of them, and print what it took."""
    parser = argparse.ArgumentParser(description="Many clients in one asyncio loop.")
    parser.add_argument("url", help="a server that answers each message with one, such as an echo server")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--messages", type=int, default=10, help="how many each client sends")
    options = parser.parse_args()

    doors = asyncio.Semaphore(50)
    began = perf_counter()
    try:
        results = await asyncio.gather(
            *[talk(options.url, options.messages, doors) for _ in range(options.clients)]
        )
    except (HandshakeError, OSError) as error:
        sys.exit(f"{options.url}: {error}")
    times = sorted(time for result in results for time in result)
    print(f"{len(times)} answers to {options.clients} clients in {perf_counter() - began:.2f} s")
    print(f"median {statistics.median(times) * 1000:.1f} ms, slowest {times[-1] * 1000:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
