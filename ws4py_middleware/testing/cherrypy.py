"""A CherryPy application in memory, with its tool and its plugin, if it has one; no engine is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.handshake import Request
from ..extras import needs
from .clocks import Clock
from .responses import Response
from .wires import MemoryWire
from .wsgi import WSGIHost

with needs("cherrypy", "cherrypy", __name__):
    import cherrypy

from ..server.cherrypyserver import WebSocketPlugin

__all__ = ["CherryPyHost"]


class CherryPyHost(WSGIHost):
    """
    An application of CherryPy, or its tree.

    The plugin that is subscribed to the engine has the test's manager in place of its own, until the end, so
    that ``websocket-broadcast`` goes to the connections of the test.

    Args:
        app: The application.
        clock: What passes its time.
    """

    def __init__(self, app: Any, clock: Clock) -> None:
        super().__init__(app, clock)
        #: The plugins that have the test's manager, with their own, and whether that ends with the process.
        self._plugins: dict[WebSocketPlugin, tuple[Any, bool]] = {}

    def open(self, request: Request, extras: Mapping[str, Any]) -> MemoryWire | Response:
        """Bring an opening handshake; see :class:`~.hosts.Host`."""
        self._borrow_plugins()
        return super().open(request, extras)

    def close(self) -> None:
        """Drop what is still open, and let the plugin have its own manager again."""
        super().close()
        for plugin, own in self._plugins.items():
            plugin.manager, plugin._is_registered = own
        self._plugins.clear()

    def _borrow_plugins(self) -> None:
        for listener in cherrypy.engine.listeners.get("handle-websocket", ()):
            plugin = getattr(listener, "__self__", None)
            if isinstance(plugin, WebSocketPlugin) and plugin.manager is not self.manager:
                self._plugins[plugin] = plugin.manager, plugin._is_registered
                plugin.manager, plugin._is_registered = self.manager, True
