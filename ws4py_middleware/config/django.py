"""
WebSocket routes for a Django project, from its settings.

``settings.py``::

    WEBSOCKETS = {
        "/chat/<room>": {"handler": "chat.handlers:Chat", "authorize": "chat.auth:is_member"},
    }

``wsgi.py`` and ``asgi.py``, where only the import is another one than Django's::

    from ws4py_middleware.config.django import get_wsgi_application

    application = get_wsgi_application()

``settings.WEBSOCKETS`` is what :mod:`ws4py_middleware.config` describes: a dict, or the path of a TOML file.
Unless it says otherwise, ``ALLOWED_HOSTS`` and ``CSRF_TRUSTED_ORIGINS`` hold for WebSockets, too.

Django's middleware is not around an upgrade; :func:`user_of` says who asks for one. Before and after each
callback of a handler, ``close_old_connections()`` is called, as Django does around a request, so that a
connection that lives for hours does not hold one to the database. A handler that is a function has a thread
of its own, whose database connections are closed whenever it waits for a message; inside ``atomic()`` they
are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from asgiref.sync import sync_to_async

from ..extras import needs

with needs("django", "django", __name__):
    from django import conf  # not its settings: who looks at this module must not set them up
    from django.contrib.auth import get_user
    from django.contrib.sessions.middleware import SessionMiddleware
    from django.core import asgi, wsgi
    from django.db import close_old_connections, connections
    from django.http import HttpRequest, HttpResponse, parse_cookie

from ..contexts import around
from .routes import Config, find_entrance, read_config

__all__ = ["auser_of", "get_asgi_application", "get_wsgi_application", "user_of", "wrap"]


def get_wsgi_application() -> Any:
    """
    Return the project's WSGI application with the routes of ``settings.WEBSOCKETS``.

    Raises:
        ConfigError: Something in the settings is wrong.
    """
    return wrap(wsgi.get_wsgi_application())


def get_asgi_application() -> Any:
    """
    Return the project's ASGI application with the routes of ``settings.WEBSOCKETS``.

    Raises:
        ConfigError: Something in the settings is wrong.
    """
    return wrap(asgi.get_asgi_application())


def wrap(application: Any, **options: Any) -> Any:
    """
    Put the routes of ``settings.WEBSOCKETS`` around an application, a WSGI or an ASGI one.

    Args:
        application: The application; one that has been made after Django was set up.
        options: Options of ``WebSocketMiddleware`` or ``WebSocketASGI``, which have precedence.

    Raises:
        ConfigError: Something in the settings is wrong.
    """
    return _read().wrap(find_entrance(application), application, **options)


def _read() -> Config:
    settings = conf.settings
    module = getattr(settings, "SETTINGS_MODULE", None) or "settings"
    config = read_config(
        getattr(settings, "WEBSOCKETS", {}),
        name=f"{module}.WEBSOCKETS",
        context=FreshConnections,
        around_authorize=functools.partial(around, context=FreshConnections),
    )
    config.defaults.setdefault("origins", ["same", *settings.CSRF_TRUSTED_ORIGINS])
    config.defaults.setdefault("hosts", _find_hosts())
    return config


def _find_hosts() -> list[str] | None:
    """Say ``ALLOWED_HOSTS`` in our words, with what Django does when it is empty."""
    settings = conf.settings
    if "*" in settings.ALLOWED_HOSTS or settings.USE_X_FORWARDED_HOST:
        return None
    allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    return [rule for host in allowed for rule in ([host[1:], f"*{host}"] if host.startswith(".") else [host])]


class FreshConnections:
    """The context of a callback: database connections that are too old, or broken, are closed."""

    def __enter__(self) -> None:
        _close_old()

    def __exit__(self, *error: object) -> None:
        _close_old()

    async def __aenter__(self) -> None:
        # In the thread in which asynchronous code has its database work done.
        await sync_to_async(_close_old)()

    async def __aexit__(self, *error: object) -> None:
        await sync_to_async(_close_old)()

    @staticmethod
    def for_functions() -> _OwnConnections:
        """Return the context of a function: of a thread that nobody else has."""
        return _OwnConnections()


class _OwnConnections(FreshConnections):
    """Keeps no connection open for later, whatever ``CONN_MAX_AGE`` says: later may be in hours."""

    def __exit__(self, *error: object) -> None:
        connections.close_all()

    @property
    def may_leave(self) -> bool:
        """Whether the function is not waiting inside ``atomic()``."""
        return not _in_transaction()


def _close_old() -> None:
    # A hook that calls another one may have begun a transaction, which Django would take for a lost one.
    if not _in_transaction():
        close_old_connections()


def _in_transaction() -> bool:
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))


def user_of(environ: Mapping[str, Any]) -> Any:
    """
    Return who is logged in, by the session's cookie: a user, or an ``AnonymousUser``.

    ::

        def is_member(environ, **params):
            return user_of(environ).is_authenticated

    Asks the database as ``request.user`` does, and with the same care: a session from before a change of the
    password is nobody's. The session is only read.

    Args:
        environ: What ``authorize`` is called with, an environ or an ASGI scope; or ``ws.environ``.
    """
    request = HttpRequest()
    request.COOKIES = parse_cookie(_find_cookies(environ))
    SessionMiddleware(lambda request: HttpResponse()).process_request(request)
    # After a change of SECRET_KEY the session would get a new name, which nobody could tell the browser.
    request.session.cycle_key = lambda: None  # type: ignore[method-assign]  # see above
    return get_user(request)


async def auser_of(environ: Mapping[str, Any]) -> Any:
    """Return the same as :func:`user_of`, for ``async def``."""
    return await sync_to_async(user_of)(environ)


def _find_cookies(environ: Mapping[str, Any]) -> str:
    if "headers" not in environ:
        return str(environ.get("HTTP_COOKIE", ""))
    # An ASGI scope. HTTP/2 may send a cookie a header.
    values = [value for name, value in environ["headers"] if name.lower() == b"cookie"]
    return b"; ".join(values).decode("latin-1")
