from __future__ import annotations

import os

from ws4py_middleware.hub import Hub, set_hub

# A job may be done before the browser has connected: its room keeps what was said.
hub = Hub(
    os.environ.get("REDIS_URL", "redis://localhost:6379/0"),
    history=lambda room: 100 if room.startswith("job/") else None,
)
set_hub(hub)
