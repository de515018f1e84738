"""WSGI and ASGI applications with WebSockets that tell in which process they are; the first with /metrics."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from ws4py_middleware import WebSocket, WebSocketASGI, WebSocketMiddleware, configure_logger
from ws4py_middleware.messaging import Message
from ws4py_middleware.prometheus import expose

expose(interval=0.1)


class Echo(WebSocket):
    def opened(self) -> None:
        self.send(str(os.getpid()))

    def received_message(self, message: Message) -> None:
        self.send(message)


class Telling(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(json.dumps(self.stats().as_dict()))


def get_metrics() -> bytes:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = get_metrics() if environ["PATH_INFO"] == "/metrics" else b"hello"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


ROUTES = {"/ws": Echo, "/tell/<name>": Telling}

configure_logger(level=logging.INFO)
wsgi = WebSocketMiddleware(site, ROUTES)
asgi = WebSocketASGI(None, ROUTES)
