"""
Test tools: a client that needs no server, faults on demand, and a clock that moves when the test says so.

::

    from ws4py_middleware.testing import WebSocketTestClient

    def test_chat():
        with WebSocketTestClient(app) as client, client.connect("/chat/blue") as ws:
            ws.send("hi")
            assert ws.receive() == "hi"

What is where
=============
* :class:`WebSocketTestClient`: WSGI, ASGI and CherryPy applications in memory.
* :mod:`.testing.live`: the same client for a server that is really there.
* :mod:`.testing.webtest`: webtest's ``TestApp`` with WebSockets.
* :mod:`.testing.plugin`: fixtures for pytest.

The names below are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import WebSocketTestClient
    from .clocks import RealClock, VirtualClock
    from .failures import ConnectionEnded, NoMessage, UnexpectedMessage, WrongEnd
    from .responses import HandshakeRefused, Response
    from .sessions import WebSocketSession

__all__ = [
    "ConnectionEnded",
    "HandshakeRefused",
    "NoMessage",
    "RealClock",
    "Response",
    "UnexpectedMessage",
    "VirtualClock",
    "WebSocketSession",
    "WebSocketTestClient",
    "WrongEnd",
]

_LAZY = {
    "ConnectionEnded": ".failures",
    "HandshakeRefused": ".responses",
    "NoMessage": ".failures",
    "RealClock": ".clocks",
    "Response": ".responses",
    "UnexpectedMessage": ".failures",
    "VirtualClock": ".clocks",
    "WebSocketSession": ".sessions",
    "WebSocketTestClient": ".client",
    "WrongEnd": ".failures",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
