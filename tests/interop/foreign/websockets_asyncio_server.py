"""The conversation on the asyncio half of ``websockets``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.interop.foreign.serving import announce, wait_for_eof
from tests.interop.words import (
    FRAGMENTS,
    FRAGMENTS_PING,
    MAX_SIZE,
    SUBPROTOCOLS,
    Ends,
    parse_close,
    parse_command,
)

ends = Ends()


def choose(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """As the other servers; without this it refuses clients that offer none."""
    return next((Subprotocol(name) for name in SUBPROTOCOLS if name in offered), None)


async def make_fragments(connection: ServerConnection) -> AsyncIterator[str]:
    for number, fragment in enumerate(FRAGMENTS):
        yield fragment
        if number == 0:
            await connection.ping(FRAGMENTS_PING)


async def talk(connection: ServerConnection) -> None:
    name = ""
    try:
        async for message in connection:
            command, rest = parse_command(message)
            if not command:
                await connection.send(message)
            elif command == "name":
                name = rest
            elif command == "closed":
                await connection.send(ends.answer(rest))
            elif command == "close":
                code, reason = parse_close(rest)
                await connection.close(code, reason)  # type: ignore[arg-type]
            elif command == "ping":
                await (await connection.ping(rest))
                await connection.send(f"!ponged {rest}")
            elif command == "fragments":
                await connection.send(make_fragments(connection))
            elif command == "subprotocol":
                await connection.send(f"!subprotocol {connection.subprotocol}")
    except ConnectionClosed:
        pass
    await connection.wait_closed()
    if name:
        ends.add(name, connection.close_code, connection.close_reason)


async def start(compression: str | None) -> Server:
    protocols = [Subprotocol(name) for name in SUBPROTOCOLS]
    server: Server = await serve(
        talk,
        "127.0.0.1",
        0,
        compression=compression,
        max_size=MAX_SIZE,
        subprotocols=protocols,
        select_subprotocol=choose,
    )
    return server


async def main() -> None:
    async with await start(None) as plain, await start("deflate") as deflate:
        ports = [next(iter(server.sockets)).getsockname()[1] for server in (plain, deflate)]
        announce(*ports)
        await asyncio.to_thread(wait_for_eof)


if __name__ == "__main__":
    asyncio.run(main())
