"""Our end of the conversation, the same under every server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.interop.words import (
    FRAGMENTS,
    FRAGMENTS_PING,
    MAX_SIZE,
    SUBPROTOCOLS,
    Ends,
    parse_close,
    parse_command,
)
from ws4py_middleware import Route, WebSocket
from ws4py_middleware.messaging import Message

ENDS = Ends()

_COMMON: dict[str, Any] = {
    "max_message_size": MAX_SIZE,
    "write_limit": 2 * MAX_SIZE,
    "subprotocols": SUBPROTOCOLS,
}


class Talk(WebSocket):
    name = ""

    def received_message(self, message: Message) -> None:
        is_command = message.is_text and message.data[:1] == b"!"
        command, rest = parse_command(str(message)) if is_command else ("", "")
        if not command:
            self.send(message)
        elif command == "name":
            self.name = rest
        elif command == "closed":
            self.send(ENDS.answer(rest))
        elif command == "close":
            self.close(*parse_close(rest))
        elif command == "ping":
            self.ping(rest)
        elif command == "fragments":
            self.send(self.make_fragments())
        elif command == "subprotocol":
            self.send(f"!subprotocol {self.subprotocol}")
        elif command == "latency":
            self.send(f"!latency {self.latency or ''}")

    def make_fragments(self) -> Iterator[str]:
        for number, fragment in enumerate(FRAGMENTS):
            yield fragment
            if number == 1:
                # The first fragment leaves when the second one is known.
                self.ping(FRAGMENTS_PING)

    def ponged(self, pong: Message) -> None:
        if pong.data != FRAGMENTS_PING:
            self.send(f"!ponged {pong}")

    def closed(self, code: int, reason: str | None = None) -> None:
        if self.name:
            ENDS.add(self.name, code, reason)


def talk(ws: WebSocket) -> None:
    """As a function: what the caller's own thread or greenlet sends."""
    for message in ws:
        if message.data == b"!fragments":
            ws.send(FRAGMENTS)
        else:
            ws.send(message)


#: Path → handler and settings.
PATHS: dict[str, tuple[Any, dict[str, Any]]] = {
    "/plain": (Talk, _COMMON),
    "/deflate": (Talk, {"compression": True, **_COMMON}),
    "/function": (talk, {"compression": True, **_COMMON}),
    "/pinging": (Talk, {"ping_interval": 0.02, **_COMMON}),
}
ROUTES = {path: Route(handler, **options) for path, (handler, options) in PATHS.items()}
