from __future__ import annotations

from ws4py_middleware.hub import Hub, set_hub
from ws4py_middleware.hub.redis import RedisBackplane

set_hub(Hub(RedisBackplane("redis://localhost:6379/0", queue_policy="wait", presence_timeout=10)))
