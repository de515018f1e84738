"""
WebSockets on gevent's WSGI server, as ws4py had them.

::

    from gevent import monkey; monkey.patch_all()
    from ws4py_middleware.websocket import EchoWebSocket
    from ws4py_middleware.server.geventserver import WSGIServer
    from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication

    server = WSGIServer(("localhost", 9000), WebSocketWSGIApplication(handler_cls=EchoWebSocket))
    server.serve_forever()

With ``keyfile=`` and ``certfile=``, or ``ssl_context=``, it is ``wss://``. The monkey-patching is for the
application's own code; nothing here needs it. :class:`~ws4py_middleware.wsgi.WebSocketMiddleware` works here
too, and its connections are also in the server's pool. What differs from gevent's server is that its end is
that of the WebSockets as well: their peers are told with 1001, and nobody is waited for without end.
"""

from __future__ import annotations

from typing import Any

from ..extras import needs

with needs("gevent", "gevent", __name__):
    import gevent
    from gevent.pool import Pool
    from gevent.pywsgi import WSGIHandler
    from gevent.pywsgi import WSGIServer as _WSGIServer

from ..greenlets import GreenletManager
from ..opening import MANAGER
from ..websocket import WebSocket
from .wsgiutils import SOCKET, WEBSOCKET, give_up, take_out

__all__ = ["GEventWebSocketPool", "WSGIServer", "WebSocketWSGIHandler"]


#: How long a greenlet may take to notice that its connection has ended; seconds.
_LEAVE_TIMEOUT = 0.2


class GEventWebSocketPool(Pool):  # type: ignore[misc, unused-ignore]  # its base has no types
    """
    The greenlets of WebSockets, one each: it stands for the connection, whose hooks run in the manager's.

    Args:
        size: Most WebSockets; the next are refused with 503.
        greenlet_class: What each of the greenlets is.
    """

    _manager: GreenletManager | None = None

    @property
    def manager(self) -> GreenletManager:
        """What runs the WebSockets of this pool."""
        if self._manager is None:
            self._manager = GreenletManager(spawn=self.spawn)
            self._manager.max_connections = self.size
        return self._manager

    def track(self, websocket: WebSocket) -> gevent.Greenlet[..., Any] | None:
        """
        Run a WebSocket until its end.

        Returns:
            Its greenlet, whose death is the connection's end; ``None`` when it has ended in ``opened()``.
        """
        self.manager.add(websocket)
        return self.manager.greenlet_of(websocket)

    def clear(self, timeout: float | None = None) -> None:
        """
        Close all with 1001, wait for them, and drop those who do not answer; no more are taken.

        Args:
            timeout: Seconds; by default the manager's ``shutdown_timeout``.
        """
        self.manager.shutdown(timeout)
        # They have been told; a hook that still runs has its connection taken away only.
        self.join(timeout=_LEAVE_TIMEOUT)


class WebSocketWSGIHandler(WSGIHandler):  # type: ignore[misc, unused-ignore]  # its base has no types
    """Give the WebSocket that an application makes to the server's pool; all else is gevent's."""

    def run_application(self) -> None:
        """Call the application; a request that asks for an upgrade has the keys that ws4py documents."""
        environ: dict[str, Any] = self.environ or {}
        pool = getattr(self.server, "pool", None)
        if "HTTP_UPGRADE" not in environ or not isinstance(pool, GEventWebSocketPool):
            super().run_application()
            return
        environ[SOCKET] = self.socket
        environ[MANAGER] = pool.manager
        try:
            super().run_application()
        finally:
            del environ[SOCKET], environ[MANAGER]
            websocket = environ.pop(WEBSOCKET, None)
        try:
            if websocket is not None and self.code == 101:
                self.close_connection = True  # what is left to the handler is a dummy
                take_out(websocket, self.socket, self.rfile)
                pool.track(websocket)
        finally:
            give_up(websocket)

    def finalize_headers(self) -> None:
        """Complete the headers; gevent gives a 101 a ``Content-Length``, which it must not have."""
        if self.code == 101:
            self.connection_upgraded = True
        else:
            super().finalize_headers()


class WSGIServer(_WSGIServer):  # type: ignore[misc, unused-ignore]  # its base has no types
    """
    gevent's WSGI server, whose :attr:`pool` has the WebSockets.

    The arguments are gevent's. The pool or number that ``spawn`` may be is for the requests, as there.
    """

    handler_class = WebSocketWSGIHandler

    #: The WebSockets' greenlets.
    pool: GEventWebSocketPool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request_pool: Pool | None = self.pool
        self.pool = GEventWebSocketPool()

    def start(self) -> None:
        """Accept connections; also again after :meth:`stop`, when the listener was an address."""
        self.pool.manager.closing = False
        super().start()

    def stop(self, timeout: float | None = None) -> None:
        """
        Accept no more connections, and end the WebSockets: with 1001, or without an answer to it.

        Args:
            timeout: Seconds that they have for it; by default :attr:`stop_timeout`, which is 1. Requests
                that run in a pool of their own, see ``spawn``, have as long again.
        """
        self.close()
        timeout = self.stop_timeout if timeout is None else timeout
        self.pool.clear(timeout)
        super().stop(0)  # the WebSockets' greenlets have had their time
        if self._request_pool is not None:
            self._request_pool.join(timeout=timeout)
            self._request_pool.kill(block=True, timeout=1)
