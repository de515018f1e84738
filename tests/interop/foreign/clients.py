"""The clients of others, all of them."""

from __future__ import annotations

from tests.interop.foreign import node, python_clients

#: Name → client.
CLIENTS = {**python_clients.CLIENTS, **node.CLIENTS}
