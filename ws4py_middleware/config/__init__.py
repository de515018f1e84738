"""
WebSocket routes from a configuration: a dict, a TOML file, Flask's or Django's settings.

::

    app = websockets_from_config(app, "ws4py_middleware.toml")

with this file beside it::

    [defaults]
    origins = ["https://example.com"]

    [routes]
    "/echo" = "ws4py_middleware:EchoWebSocket"
    "/chat/<room>" = { handler = "chat.handlers:Chat", max_message_size = "256 KiB", ping_interval = 15 }

Everything that can be wrong in it is an error when the application starts: a :class:`ConfigError` that names
the file, the line, the key, and the nearest valid name. Flask and Django have modules of their own here, as
their applications bring contexts for the handlers: :mod:`.flask` and :mod:`.django`.
"""

from __future__ import annotations

from .errors import ConfigError
from .files import find_file
from .imports import import_object
from .routes import Config, read_config, routes_from, websockets_from_config
from .values import convert

__all__ = [
    "Config",
    "ConfigError",
    "convert",
    "find_file",
    "import_object",
    "read_config",
    "routes_from",
    "websockets_from_config",
]
