"""What the tests ask of a backend beyond the documentation's."""

from __future__ import annotations

from typing import Any

from docs.code.proxies.app import site
from ws4py_middleware import Policy, Route, WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message


class Echo(WebSocket):
    """Says which port of the backend's it was, then what it is told; prints how it ended."""

    def opened(self) -> None:
        self.send(self.environ["SERVER_PORT"])

    def received_message(self, message: Message) -> None:
        self.send(message)

    def closed(self, code: int, reason: str | None = None) -> None:
        print(f"closed {self.environ['PATH_INFO']} {code}")  # noqa: T201


class Pinged(Echo):
    """Where a minute is a second, 20 seconds are a third of one; a busy machine has some more time."""

    policy = Policy(ping_interval=0.2)


class Silent(Echo):
    policy = Policy(ping_interval=None)


routes: dict[str, Any] = {
    "/echo": Echo,
    "/pinged": Pinged,
    "/silent": Silent,
    "/two-by-header": Route(Echo, trusted_proxies=1, max_connections_per_address=2),
    "/two-by-line": Route(Echo, max_connections_per_address=2),
}
app = WebSocketMiddleware(site, routes, origins="*")
