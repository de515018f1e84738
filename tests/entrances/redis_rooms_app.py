"""The rooms of :mod:`tests.entrances.rooms_app`, shared by all workers through a Redis."""

from __future__ import annotations

import os

from ws4py_middleware.hub import Hub, set_hub
from ws4py_middleware.hub.redis import RedisBackplane

set_hub(Hub(RedisBackplane(os.environ["ROOMS_REDIS_URL"], presence_timeout=1.5)))

from tests.entrances.rooms_app import app, asgi_app  # noqa: E402 - its callbacks are those of the hub set here

__all__ = ["app", "asgi_app"]
