"""The rooms of :mod:`tests.entrances.rooms_app`, shared by all workers through a Redis."""

from __future__ import annotations

import os

from ws4py_middleware.hub import Hub, set_hub
from ws4py_middleware.hub.redis import RedisBackplane

set_hub(Hub(RedisBackplane(os.environ["ROOMS_REDIS_URL"], presence_timeout=1.5)))

# Its callbacks are those of the hub that is set here.
from tests.entrances.rooms_app import Visitor, app, asgi_app, wsgi  # noqa: E402

__all__ = ["Visitor", "app", "asgi_app", "wsgi"]
