"""
WebSocket routes for the web application you have, on the stock server you deploy it on.

::

    from ws4py_middleware import WebSocket, WebSocketMiddleware

    class Chat(WebSocket):
        def received_message(self, message):
            self.send(message)

    app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/chat/<room>": Chat})

The names below are loaded when they are first used (:pep:`562`): to import the package
starts no thread, opens no descriptor, configures no logging and imports no framework.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from . import _build
from ._version import __version__

if TYPE_CHECKING:
    from .asgi import WebSocketASGI
    from .async_websocket import AsyncWebSocket
    from .client.asyncclient import AsyncWebSocketClient
    from .core.policy import DeflateOptions, Policy, Rate
    from .core.types import WS_KEY, WS_VERSION
    from .routing import Route
    from .websocket import EchoWebSocket, WebSocket
    from .wsgi import WebSocketMiddleware, upgrade

_build.prepare()

__author__ = "the ws4py_middleware authors"

__all__ = [
    "WS_KEY",
    "WS_VERSION",
    "AsyncWebSocket",
    "AsyncWebSocketClient",
    "DeflateOptions",
    "EchoWebSocket",
    "Policy",
    "Rate",
    "Route",
    "WebSocket",
    "WebSocketASGI",
    "WebSocketMiddleware",
    "__author__",
    "__version__",
    "configure_logger",
    "format_addresses",
    "upgrade",
]

_LAZY = {
    "AsyncWebSocket": ".async_websocket",
    "AsyncWebSocketClient": ".client.asyncclient",
    "DeflateOptions": ".core.policy",
    "EchoWebSocket": ".websocket",
    "Policy": ".core.policy",
    "Rate": ".core.policy",
    "Route": ".routing",
    "WS_KEY": ".core.types",
    "WS_VERSION": ".core.types",
    "WebSocket": ".websocket",
    "WebSocketASGI": ".asgi",
    "WebSocketMiddleware": ".wsgi",
    "upgrade": ".wsgi",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module, __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


def configure_logger(
    stdout: bool = True, filepath: str | None = None, level: int = logging.INFO
) -> logging.Logger:
    """
    Send what the library logs to the standard output, to a file, or to both.

    May be called again, to change the level or to add a file: nothing is logged twice.

    Args:
        stdout: Log to :data:`sys.stdout`.
        filepath: Log to this file, too; it is rotated at 10 MiB, and three old ones are kept.
        level: Leave out what is below this level.

    Returns:
        The logger ``ws4py_middleware``, the parent of all loggers of the library.
    """
    import os
    import sys
    from logging.handlers import RotatingFileHandler

    logger = logging.getLogger(__name__)
    logger.setLevel(level)
    formatter = logging.Formatter("[%(asctime)s] %(levelname)s %(message)s")
    ours = [handler for handler in logger.handlers if handler.name == __name__]

    def add(handler: logging.Handler) -> None:
        handler.name = __name__
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        ours.append(handler)

    if filepath is not None:
        files = [handler.baseFilename for handler in ours if isinstance(handler, RotatingFileHandler)]
        if os.path.abspath(filepath) not in files:
            add(RotatingFileHandler(filepath, maxBytes=10 * 1024 * 1024, backupCount=3))
    if stdout:
        # Exactly this type: a file handler is a stream handler, too.
        streams = [handler for handler in ours if type(handler) is logging.StreamHandler]
        for stream in streams:
            stream.setStream(sys.stdout)
        if not streams:
            add(logging.StreamHandler(sys.stdout))
    for handler in ours:
        handler.setLevel(level)
    return logger


class HasAddresses(Protocol):
    """A WebSocket, as far as :func:`format_addresses` is concerned."""

    @property
    def local_address(self) -> Any: ...

    @property
    def peer_address(self) -> Any: ...


def format_addresses(ws: HasAddresses) -> str:
    """
    Describe both ends of a connection, for logs.

    >>> from types import SimpleNamespace
    >>> format_addresses(SimpleNamespace(local_address=("127.0.0.1", 80), peer_address=("10.0.0.7", 51000)))
    '[Local => 127.0.0.1:80 | Remote => 10.0.0.7:51000]'
    >>> format_addresses(SimpleNamespace(local_address="/run/app.sock", peer_address=""))
    "[Bound to '/run/app.sock']"
    """
    local, peer = ws.local_address, ws.peer_address
    if isinstance(local, tuple) and isinstance(peer, tuple):
        return f"[Local => {local[0]}:{local[1]} | Remote => {peer[0]}:{peer[1]}]"
    return f"[Bound to '{local}']"
