from __future__ import annotations

from flask import Flask

from ws4py_middleware import Policy, WebSocket, WebSocketMiddleware
from ws4py_middleware.hub import get_hub


class Prices(WebSocket):
    """Who is behind wants the latest prices, not all that there were."""

    policy = Policy(queue_policy="drop-oldest", write_limit=256 * 1024)

    def opened(self) -> None:
        self.join("prices")


class Notices(WebSocket):
    """Who is behind has the first ones, and asks a view for the others."""

    policy = Policy(queue_policy="drop-newest", write_limit=256 * 1024)

    def opened(self) -> None:
        self.join("notices")


class Orders(WebSocket):
    """Nothing may be left out. Who is behind loads the page again."""

    policy = Policy(queue_policy="disconnect", write_limit=256 * 1024)

    def opened(self) -> None:
        self.join("orders")


def download(ws: WebSocket, size: int) -> None:
    """Send as fast as the peer reads; send() waits for it, in a thread of its own."""
    chunk = bytes(64 * 1024)
    while size > 0:
        ws.send(chunk[:size], binary=True)
        size -= len(chunk)


def upload(ws: WebSocket) -> None:
    """Read as fast as this can be done; the peer's send() waits for it."""
    size = 0
    for message in ws:
        size += len(message)
        ws.send(str(size))


app = Flask(__name__)


@app.get("/behind")
def behind() -> list[dict[str, object]]:
    """Say who does not keep up, and what they have missed."""
    members = [ws for room in get_hub().rooms() for ws in get_hub().websockets(room)]
    stats = [ws.stats() for ws in members if isinstance(ws, WebSocket)]
    return [
        {"client": stat.client, "queued": stat.queued, "dropped": stat.messages_dropped}
        for stat in stats
        if stat.queued
    ]


app.wsgi_app = WebSocketMiddleware(
    app.wsgi_app,
    {
        "/prices": Prices,
        "/notices": Notices,
        "/orders": Orders,
        "/download/<int:size>": download,
        "/upload": upload,
    },
)
