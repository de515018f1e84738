"""Tornado, on asyncio."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from benchmarks.apps.common import MAX_SIZE, answer_json, deflate, spin_when_asked

members: set[WebSocketHandler] = set()


class Hello(RequestHandler):
    """Answers plain HTTP beside the WebSockets."""

    def get(self) -> None:
        """Answer."""
        self.finish("hello\n")


class Echo(WebSocketHandler):
    """Sends back what comes."""

    def get_compression_options(self) -> dict[str, Any] | None:
        """Compress where that is measured."""
        return {} if deflate() else None

    async def on_message(self, message: str | bytes) -> None:
        """Answer."""
        try:
            await self.answer(message)
        except WebSocketClosedError:  # the peer has gone while it was answered
            return

    async def answer(self, message: str | bytes) -> None:
        """Send it back."""
        await self.write_message(message)


class Json(Echo):
    """Reads each message, and writes it again."""

    async def answer(self, message: str | bytes) -> None:
        """Answer."""
        await self.write_message(answer_json(message))


class Broadcast(Echo):
    """Sends what one member says to all members."""

    def open(self, *args: str, **kwargs: str) -> None:
        """Become a member."""
        members.add(self)

    def on_close(self) -> None:
        """Be one no more."""
        members.discard(self)

    async def answer(self, message: str | bytes) -> None:
        """Tell everybody."""
        for member in list(members):
            member.write_message(message)


async def main(port: int) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended."""
    routes = [("/", Hello), ("/echo", Echo), ("/broadcast", Broadcast), ("/json", Json)]
    server = HTTPServer(Application(routes, websocket_max_message_size=MAX_SIZE))
    server.add_sockets(bind_sockets(port, "127.0.0.1", backlog=4096))
    await asyncio.Event().wait()


if __name__ == "__main__":
    spin_when_asked()
    asyncio.run(main(int(sys.argv[1])))
