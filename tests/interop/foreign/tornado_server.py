"""The conversation on ``tornado``."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.interop.foreign.serving import announce, wait_for_eof
from tests.interop.words import MAX_SIZE, SUBPROTOCOLS, Ends, parse_close, parse_command

ends = Ends()


class Talk(WebSocketHandler):
    name = ""

    def get_compression_options(self) -> dict[str, Any] | None:
        return {} if self.request.path == "/deflate" else None

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return next((name for name in SUBPROTOCOLS if name in subprotocols), None)

    async def on_message(self, message: str | bytes) -> None:
        command, rest = parse_command(message)
        if not command:
            await self.write_message(message, binary=isinstance(message, bytes))
        elif command == "name":
            self.name = rest
        elif command == "closed":
            await self.write_message(ends.answer(rest))
        elif command == "close":
            code, reason = parse_close(rest)
            self.close(code, reason or None)
        elif command == "ping":
            self.ping(rest)
        elif command == "subprotocol":
            await self.write_message(f"!subprotocol {self.selected_subprotocol}")

    def on_pong(self, data: bytes) -> None:
        self.write_message(f"!ponged {data.decode()}")

    def on_close(self) -> None:
        if self.name:
            ends.add(self.name, self.close_code or 1005, self.close_reason)


async def main() -> None:
    app = Application([("/plain", Talk), ("/deflate", Talk)], websocket_max_message_size=MAX_SIZE)
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(app)
    server.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    announce(port, port)
    await asyncio.to_thread(wait_for_eof)
    server.stop()


if __name__ == "__main__":
    asyncio.run(main())
