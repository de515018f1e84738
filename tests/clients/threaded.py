"""The client with a thread of its own."""

from __future__ import annotations

from tests.clients.base import here
from tests.clients.session import Kind
from ws4py_middleware.client.threadedclient import WebSocketClient

KIND = Kind(WebSocketClient, here)
