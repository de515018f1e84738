"""
A page of tornado's that shows what a WebSocket elsewhere has said last, and passes on what is posted to it.

    python app.py --upstream ws://127.0.0.1:9000/echo

One loop runs both: the page's handlers and the client's hooks take turns in it, and nobody needs a lock.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal

from tornado.web import Application, HTTPError, RequestHandler

from ws4py_middleware.client.backoff import Backoff
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.messaging import Message


class Upstream(TornadoWebSocketClient):
    """Keep the latest message."""

    latest = "nothing yet"

    def opened(self) -> None:
        print("connected", flush=True)

    def received_message(self, message: Message) -> None:
        self.latest = str(message)

    def reconnecting(self, attempt: int, delay: float, cause: BaseException) -> None:
        print(f"again in {delay:.1f} s: {cause}", flush=True)

    def closed(self, code: int, reason: str | None = None) -> None:
        print("closed", code, reason, flush=True)


class Page(RequestHandler):
    """What was said last, and a way to say something."""

    def initialize(self, upstream: Upstream) -> None:
        self.upstream = upstream

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(self.upstream.latest)

    async def post(self) -> None:
        try:
            await self.upstream.send(self.request.body.decode())  # while it is away, it waits
        except ConnectionClosed:
            raise HTTPError(503, reason="There is no connection, and there was none yet") from None
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
    upstream = Upstream(options.upstream, reconnect=Backoff(first=True))
    upstream.connect()
    server = Application([("/", Page, {"upstream": upstream})]).listen(options.port, options.host)
    await stop.wait()
    server.stop()
    upstream.close(1001, "The page is going away")
    with contextlib.suppress(ConnectionClosed):
        await upstream.run()  # until the server has answered, policy.close_timeout at most


if __name__ == "__main__":
    asyncio.run(main())
