"""
Clients that send everything back, one of each kind, for wstest's fuzzing server.

::

    python -m scripts.lib.autobahn.clients KIND URL AGENT COUNT

goes through cases 1 to COUNT, with a connection for each. What one of them raises is printed, and the
next one goes on. Fails when connections leave descriptors or threads behind.

All of them answer in ``received_message()``, and not by ``receive()``. Several cases send a message and, in
the same packet, what is forbidden; strictly, the message is answered before the connection is ended. A hook
does that, since nothing behind the message is looked at before it returns. Whoever asks for messages has
the message, too, but finds the connection closed when he answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence

from tornado.ioloop import IOLoop

from examples.echo.autobahn_app import LIMITS
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.client.asyncclient import AsyncWebSocketClient
from ws4py_middleware.client.geventclient import WebSocketClient as GeventClient
from ws4py_middleware.client.threadedclient import WebSocketClient as ThreadedClient
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from ws4py_middleware.messaging import Message
from ws4py_middleware.websocket import WebSocket

#: What a loop or a resolver may keep, however many connections there were.
FEW = 16


@contextlib.contextmanager
def going_on(url: str) -> Iterator[None]:
    """Print what is raised: the case is not fine, and the others are tried all the same."""
    try:
        yield
    except Exception:  # noqa: BLE001 - as the text says
        print(f"\n{url}", file=sys.stderr)
        traceback.print_exc()


class Echo(WebSocket):
    """Sends every message back."""

    def received_message(self, message: Message) -> None:
        """Send it back."""
        self.send(message.data, message.is_binary)


class BaseEcho(Echo, WebSocketBaseClient):
    """Runs in the thread that waits."""


class ThreadedEcho(Echo, ThreadedClient):
    """Runs in a thread of its own."""


class GeventEcho(Echo, GeventClient):
    """Runs in a greenlet of its own; nothing is patched."""


class AsyncEcho(AsyncWebSocketClient):
    """Runs in asyncio's loop, with a hook that is awaited."""

    async def received_message(self, message: Message) -> None:
        """Send it back, and wait until there is room for more."""
        await self.send(message.data, message.is_binary)


class TornadoEcho(Echo, TornadoWebSocketClient):
    """Runs in tornado's loop."""


def run_blocking(kind: type[WebSocketBaseClient], urls: Sequence[str]) -> None:
    """Go through the cases with a client whose end is waited for."""
    for url in urls:
        with going_on(url):
            client = kind(url, **LIMITS)
            client.connect()
            client.run()


async def run_awaiting(kind: type[AsyncEcho | TornadoEcho], urls: Sequence[str]) -> None:
    """Go through the cases with a client whose end is awaited."""
    for url in urls:
        with going_on(url):
            client = kind(url, **LIMITS)
            await client.connect()
            await client.run()


RUNNERS: dict[str, Callable[[Sequence[str]], None]] = {
    "base": lambda urls: run_blocking(BaseEcho, urls),
    "threaded": lambda urls: run_blocking(ThreadedEcho, urls),
    "gevent": lambda urls: run_blocking(GeventEcho, urls),
    "tornado": lambda urls: IOLoop.current().run_sync(lambda: run_awaiting(TornadoEcho, urls)),
    "asyncio": lambda urls: asyncio.run(run_awaiting(AsyncEcho, urls)),
}


def main(kind: str, url: str, agent: str, count: str) -> None:
    """Go through all cases with one kind of client."""
    before = count_resources()
    RUNNERS[kind]([f"{url}/runCase?case={case}&agent={agent}" for case in range(1, int(count) + 1)])
    after = count_resources()
    print(f"descriptors and threads before: {before}, after: {after}")
    if any(now > then + FEW for then, now in zip(before, after, strict=True)):
        sys.exit("connections have left descriptors or threads behind")


def count_resources() -> tuple[int, int]:
    """Count the descriptors and threads of this process."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


if __name__ == "__main__":
    main(*sys.argv[1:])
