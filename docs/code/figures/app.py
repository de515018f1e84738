from __future__ import annotations

import os

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message
from ws4py_middleware.prometheus import expose

expose()


class Chat(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(message)

    def closed(self, code: int, reason: str | None = None) -> None:
        stats = self.stats()
        print(
            f"{stats.messages_received} messages in {stats.age:.1f} s, {stats.queued_max} bytes waited once"
        )


app = Flask(__name__)


@app.get("/metrics")
def metrics() -> Response:
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # of all workers
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/chat": Chat})
