"""The client behind ``connect``: it counts, and times its pings."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ...client.asyncclient import AsyncWebSocketClient
from ...messaging import Message
from ..escaping import escape, show_url

__all__ = ["Client"]


class Client(AsyncWebSocketClient):
    """
    A client whose pings are timed.

    Args:
        url: Where to connect to.
        arguments: As of :class:`~ws4py_middleware.client.base.ClientBase`.
    """

    def __init__(self, url: str, **arguments: Any) -> None:
        super().__init__(url, **arguments)
        self._asked: dict[bytes, float] = {}
        #: Told of each pong: what the ping said, and the seconds that it took.
        self.on_pong: Callable[[bytes, float], None] = lambda said, seconds: None
        #: Seconds that :meth:`dial` took; ``None`` before.
        self.open_time: float | None = None
        #: Of the last ping that was asked for; ``None`` before there is one.
        self.last_ping: float | None = None

    async def dial(self) -> None:
        """Connect, and take the time; raises what :meth:`connect` does."""
        start = time.perf_counter()
        await self.connect()
        self.open_time = time.perf_counter() - start

    def time_ping(self, said: bytes = b"") -> None:
        """
        Send a ping; :attr:`on_pong` is told of the answer.

        Raises:
            ValueError: It is longer than 125 bytes.
            ConnectionClosed: There is no connection any more.
        """
        self.ping(said)
        self._asked[said] = time.perf_counter()

    def ponged(self, pong: Message) -> None:
        """Take the time; a pong that nobody has asked for means nothing."""
        said = bytes(pong.data)
        start = self._asked.pop(said, None)
        if start is not None:
            self.last_ping = time.perf_counter() - start
            self.on_pong(said, self.last_ping)

    @property
    def ping_time(self) -> float | None:
        """Seconds of the last round trip that is known."""
        return self.latency if self.last_ping is None else self.last_ping

    @property
    def ending(self) -> tuple[int, str]:
        """Close code and reason; 1006 as long as there is none."""
        stats = self.stats()
        return stats.close_code or 1006, stats.close_reason or ""

    def describe(self) -> str:
        """Tell in a line what was opened."""
        agreed = [] if self.subprotocol is None else [f"subprotocol {escape(self.subprotocol)}"]
        agreed += [escape(extension.name) for extension in self.extensions or ()]
        said = f" ({', '.join(agreed)})" if agreed else ""
        return f"connected to {show_url(self.url)} in {1000 * (self.open_time or 0):.1f} ms{said}"
