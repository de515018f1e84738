"""The conversation on ``websockets``, its half with threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
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


def make_fragments(connection: ServerConnection) -> Iterator[str]:
    for number, fragment in enumerate(FRAGMENTS):
        yield fragment
        if number == 0:
            connection.ping(FRAGMENTS_PING)


def talk(connection: ServerConnection) -> None:
    name = ""
    try:
        for message in connection:
            command, rest = parse_command(message)
            if not command:
                connection.send(message)
            elif command == "name":
                name = rest
            elif command == "closed":
                connection.send(ends.answer(rest))
            elif command == "close":
                code, reason = parse_close(rest)
                connection.close(code, reason)  # type: ignore[arg-type]
            elif command == "ping":
                connection.ping(rest).wait(10)
                connection.send(f"!ponged {rest}")
            elif command == "fragments":
                connection.send(make_fragments(connection))
            elif command == "subprotocol":
                connection.send(f"!subprotocol {connection.subprotocol}")
    except ConnectionClosed:
        pass
    if name:
        ends.add(name, connection.close_code, connection.close_reason)


def main() -> None:
    protocols = [Subprotocol(name) for name in SUBPROTOCOLS]
    with contextlib.ExitStack() as stack:
        ports = []
        for compression in (None, "deflate"):
            making = serve(
                talk,
                "127.0.0.1",
                0,
                compression=compression,
                max_size=MAX_SIZE,
                subprotocols=protocols,
                select_subprotocol=choose,
            )
            server = stack.enter_context(making)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            ports.append(server.socket.getsockname()[1])
        announce(*ports)
        wait_for_eof()


if __name__ == "__main__":
    main()
