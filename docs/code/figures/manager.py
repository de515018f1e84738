from __future__ import annotations

from ws4py_middleware.process import get_manager

stats = get_manager().stats()
print(stats.connections, stats.messages_received, stats.closed)
