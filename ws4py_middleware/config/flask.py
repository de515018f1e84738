"""
WebSocket routes for a Flask application, from its configuration.

::

    from ws4py_middleware.config.flask import WebSockets

    sockets = WebSockets()

    def create_app():
        app = Flask(__name__)
        app.config["WEBSOCKETS"] = {
            "/chat/<room>": {"handler": "chat.handlers:Chat", "authorize": "chat.auth:is_member"},
        }
        sockets.init_app(app)
        return app

``app.config["WEBSOCKETS"]`` is what :mod:`ws4py_middleware.config` describes: a dict, or the path of a TOML
file, from the application's folder. Views may return :func:`~ws4py_middleware.wsgi.upgrade`, too.

Each callback of a handler runs in an app context of its own, so that ``g``, ``current_app`` and the
extensions work, and ``teardown_appcontext`` gives back what was taken, such as SQLAlchemy's session. A
handler that is a function has a new one after each ``receive()``, unless it waits inside a context of its
own. ``authorize`` runs in a request context: it may read ``request``, ``session`` and Flask-Login's
``current_user``; what it changes in the session is not saved.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

from ..extras import needs

with needs("flask", "flask", __name__):
    import flask
    from flask.globals import app_ctx

from ..routing import Authorize
from ..wsgi import WebSocketMiddleware
from .routes import Source, read_config

__all__ = ["WebSockets"]


class WebSockets:
    """
    The extension: ``WebSockets(app)``, or ``init_app(app)`` for each application there is.

    Args:
        app: The application, where there is only one.
        source: What is taken in place of ``app.config["WEBSOCKETS"]``.
        options: Options of :class:`~ws4py_middleware.wsgi.WebSocketMiddleware`, which have precedence over
            those of the configuration.

    Raises:
        ConfigError: Something in the configuration is wrong; also from :meth:`init_app`.
    """

    def __init__(self, app: flask.Flask | None = None, source: Source | None = None, **options: Any) -> None:
        self.source = source
        self.options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """
        Give an application the routes of its configuration, as it is now.

        Raises:
            ConfigError: Something in the configuration is wrong.
            RuntimeError: The application has been given its routes already.
        """
        if "websockets" in app.extensions:
            raise RuntimeError("this application has been given its WebSockets already; call init_app() once")
        source: Any = app.config.get("WEBSOCKETS", {}) if self.source is None else self.source
        if isinstance(source, str | os.PathLike):
            source = Path(app.root_path, source)
        config = read_config(
            source,
            name='app.config["WEBSOCKETS"]',
            context=functools.partial(_AppContext, app),
            around_authorize=functools.partial(_in_request_context, app),
        )
        middleware = config.wrap(WebSocketMiddleware, app.wsgi_app, **self.options)
        app.wsgi_app = middleware  # type: ignore[method-assign]  # as Flask wants it wrapped
        app.extensions["websockets"] = middleware


class _AppContext:
    """An app context that knows whether it is the innermost one, as only that can be left."""

    def __init__(self, app: flask.Flask) -> None:
        self._context = app.app_context()

    def __enter__(self) -> None:
        self._context.push()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._context.pop(error)

    @property
    def may_leave(self) -> bool:
        """Whether no context of the function's own is in this one."""
        current: Any = app_ctx
        return current._get_current_object() is self._context


def _in_request_context(app: flask.Flask, authorize: Authorize) -> Authorize:
    @functools.wraps(authorize)
    def call(environ: dict[str, Any], **params: Any) -> Any:
        with app.request_context(environ):
            return authorize(environ, **params)

    return call
