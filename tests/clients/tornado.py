"""The client for tornado, in a loop in a thread of its own."""

from __future__ import annotations

from tests.clients.asyncio import loop_in_a_thread
from tests.clients.session import Kind
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient

KIND = Kind(TornadoWebSocketClient, loop_in_a_thread, tells_failure=True)
