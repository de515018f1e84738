"""The old name of :mod:`ws4py_middleware.server.asyncioserver`; asyncio was called Tulip once."""

from __future__ import annotations

from .asyncioserver import WebSocketProtocol

__all__ = ["WebSocketProtocol"]
