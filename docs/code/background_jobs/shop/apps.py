from __future__ import annotations

import os

from django.apps import AppConfig

from ws4py_middleware.hub import Hub, set_hub


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self) -> None:
        set_hub(Hub(os.environ.get("REDIS_URL", "redis://localhost:6379/0")))
