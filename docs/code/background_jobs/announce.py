from __future__ import annotations

import os
import sys

from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.redis import RedisBackplane

url = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
hub = Hub(RedisBackplane(url, queue_policy="wait"))
try:
    hub.publish("news", " ".join(sys.argv[1:]))
except ConnectionError as error:
    sys.exit(f"nobody was told: {error}")
