"""A Django project whose routes are in its settings; ``plain`` has the same handler without a context."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.entrances.config_django_settings")

from ws4py_middleware import WebSocketMiddleware
from ws4py_middleware.config.django import get_wsgi_application

app = get_wsgi_application()


def make_plain() -> WebSocketMiddleware:
    from tests.entrances.config_django_handlers import Count

    return WebSocketMiddleware(app, {"/plain": Count})


plain = make_plain()
