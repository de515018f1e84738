"""
A page of tornado's that shows what a WebSocket elsewhere has said last, and passes on what is posted to it.

    python app.py --upstream ws://127.0.0.1:9000/echo

One loop runs both: the page's handlers and the client's hooks take turns in it, and nobody needs a lock.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

from tornado.web import Application, HTTPError, RequestHandler

from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from ws4py_middleware.messaging import Message


class Upstream(TornadoWebSocketClient):
    """Keep the latest message; connect again a second after each end."""

    latest = "nothing yet"
    finishing = False

    async def finish(self) -> None:
        """Close the connection, and wait for its end, ``policy.close_timeout`` seconds at most."""
        self.finishing = True
        self.ended = asyncio.Event()
        if self.is_open:
            self.close(1001, "The page is going away")
            await self.ended.wait()

    def opened(self) -> None:
        print("connected", flush=True)

    def received_message(self, message: Message) -> None:
        self.latest = str(message)

    async def closed(self, code: int, reason: str | None = None) -> None:
        print("closed", code, reason, flush=True)
        if self.finishing:
            self.ended.set()
        else:
            await asyncio.sleep(1)
            self.connect()  # if nothing comes of it, closed() is called again


class Page(RequestHandler):
    """What was said last, and a way to say something."""

    def initialize(self, upstream: Upstream) -> None:
        self.upstream = upstream

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(self.upstream.latest)

    async def post(self) -> None:
        if not self.upstream.is_open:
            raise HTTPError(503, reason="There is no connection at the moment")
        await self.upstream.send(self.request.body.decode())
        self.set_status(202)


async def main() -> None:
    """Serve until Ctrl-C or SIGTERM; the WebSocket is closed in order."""
    parser = argparse.ArgumentParser(description="A page of tornado's with a WebSocket to elsewhere.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("--upstream", default="ws://127.0.0.1:9000/echo")
    options = parser.parse_args()

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    upstream = Upstream(options.upstream)
    upstream.connect()
    server = Application([("/", Page, {"upstream": upstream})]).listen(options.port, options.host)
    await stop.wait()
    server.stop()
    await upstream.finish()


if __name__ == "__main__":
    asyncio.run(main())
