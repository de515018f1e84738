"""The settings of :mod:`tests.entrances.config_django_asgi`."""

from __future__ import annotations

from tests.entrances.config_django_settings import *  # noqa: F403 - as Django projects do
from tests.entrances.config_django_settings import WEBSOCKETS

_ASGI = "tests.entrances.config_django_asgi"
WEBSOCKETS = {
    **WEBSOCKETS,
    "/async": f"{_ASGI}:Count",
    "/async-function": f"{_ASGI}:count",
    "/async-who": {
        "handler": "tests.entrances.config_django_handlers:Who",
        "authorize": f"{_ASGI}:is_somebody",
    },
}
