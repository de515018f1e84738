"""Handlers that are functions; what they do on a connection stands in the contract of the managers."""

from __future__ import annotations

import pytest

from ws4py_middleware.functions import handler_class
from ws4py_middleware.websocket import EchoWebSocket, WebSocket


def test_handler_class_is_the_class_or_runs_the_function() -> None:
    def echo(ws: WebSocket) -> None:
        """Echo."""

    assert handler_class(EchoWebSocket) is EchoWebSocket
    assert issubclass(handler_class(echo), WebSocket)
    assert handler_class(echo) is handler_class(echo)
    assert (handler_class(echo).__name__, handler_class(echo).__doc__) == ("echo", "Echo.")
    for other in (int, "echo", None):
        with pytest.raises(TypeError, match="handler"):
            handler_class(other)
