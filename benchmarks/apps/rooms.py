"""What the applications and the publishers of rooms have in common: their room, and how each is set up."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ws4py_middleware.hub import Hub

__all__ = ["PATH", "ROOM", "make_hub", "make_message", "redis_url", "set_up_django", "tell_ready"]

ROOM = "all"
#: Where the WebSocket of a member is.
PATH = "/member"
FILLER = "abcdefghijklmnopqrstuvwxyz0123456789"


def make_message(number: int) -> str:
    """Return 64 bytes of text: the number, the time, and what fills it up."""
    return f"{number:08d}{time.monotonic_ns():020d}{FILLER}"


def redis_url() -> str:
    """Return the address of the Redis that all processes share."""
    return os.environ["ROOMS_REDIS"]


def tell_ready() -> None:
    """Let the benchmark know that this worker has loaded its application."""
    (Path(os.environ["ROOMS_READY"]) / str(os.getpid())).touch()


def make_hub() -> Hub:
    """Return this library's hub, with a history where that is measured."""
    from ws4py_middleware.hub import Hub

    history = os.environ.get("ROOMS_HISTORY")
    return Hub(redis_url(), history=int(history)) if history else Hub(redis_url())


def set_up_django() -> None:
    """Configure Django with the channel layer that is measured."""
    import django
    from django.conf import settings

    # redis-py has 100 connections at most by itself, which a thousand members exceed when they come together.
    host = {"address": redis_url(), "max_connections": 10_000}
    layer = {"BACKEND": os.environ["ROOMS_LAYER"], "CONFIG": {"hosts": [host]}}
    settings.configure(
        SECRET_KEY="benchmark",
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["channels"],
        CHANNEL_LAYERS={"default": layer},
    )
    django.setup()
