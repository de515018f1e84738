"""The WSGI environ as a handler keeps it for hours."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

__all__ = ["EMPTY_INPUT", "clean_environ"]


class _EmptyInput(io.RawIOBase):
    """A ``wsgi.input`` without a body, which any number of environs share."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return 0

    def close(self) -> None:
        """Stay open: it is everybody's."""


EMPTY_INPUT = _EmptyInput()

# What holds on to the server's connection, request, buffers or threads.
_SERVERS_OWN = frozenset(
    {
        "cheroot.connection",
        "gunicorn.http2.send_trailers",
        "gunicorn.sock",
        "gunicorn.socket",
        "waitress.client_disconnected",
        "werkzeug.request",
        "werkzeug.server.shutdown",
        "werkzeug.socket",
        "wsgi.early_hints",
        "wsgi.errors",
        "wsgi.file_wrapper",
        "wsgi.input",
        "wsgi.input_terminated",
        "wsgi.websocket",
        # uWSGI's, with --gevent: outside of the request they take the process down.
        "x-wsgiorg.fdevent.readable",
        "x-wsgiorg.fdevent.timeout",
        "x-wsgiorg.fdevent.writable",
        "ws4py.socket",
        "ws4py.websocket",
        "ws4py_middleware.manager",
        "ws4py_middleware.transport",
    }
)

# Names (and a few values) that nearly every request has: shared, instead of one copy each connection.
_SHARED = {
    text: text
    for text in (
        "AUTH_TYPE",
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "GATEWAY_INTERFACE",
        "HTTPS",
        "PATH_INFO",
        "QUERY_STRING",
        "RAW_URI",
        "REMOTE_ADDR",
        "REMOTE_HOST",
        "REMOTE_PORT",
        "REMOTE_USER",
        "REQUEST_METHOD",
        "REQUEST_URI",
        "SCRIPT_NAME",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "SERVER_SOFTWARE",
        "HTTP_ACCEPT",
        "HTTP_ACCEPT_ENCODING",
        "HTTP_ACCEPT_LANGUAGE",
        "HTTP_CACHE_CONTROL",
        "HTTP_CONNECTION",
        "HTTP_COOKIE",
        "HTTP_HOST",
        "HTTP_ORIGIN",
        "HTTP_PRAGMA",
        "HTTP_SEC_FETCH_DEST",
        "HTTP_SEC_FETCH_MODE",
        "HTTP_SEC_FETCH_SITE",
        "HTTP_SEC_WEBSOCKET_EXTENSIONS",
        "HTTP_SEC_WEBSOCKET_KEY",
        "HTTP_SEC_WEBSOCKET_PROTOCOL",
        "HTTP_SEC_WEBSOCKET_VERSION",
        "HTTP_UPGRADE",
        "HTTP_USER_AGENT",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_REAL_IP",
        "wsgi.url_scheme",
        "GET",
        "HTTP/1.1",
        "13",
        "websocket",
        "Upgrade",
        "upgrade",
        "no-cache",
        "http",
        "https",
        "127.0.0.1",
        "localhost",
        "permessage-deflate",
        "keep-alive, Upgrade",
        "gzip, deflate, br",
    )
}


# What the requests of many clients have in common: one copy of each value, as long as there are few.
_REPEATED = frozenset(
    {
        "HTTP_ACCEPT",
        "HTTP_ACCEPT_ENCODING",
        "HTTP_ACCEPT_LANGUAGE",
        "HTTP_HOST",
        "HTTP_ORIGIN",
        "HTTP_SEC_WEBSOCKET_EXTENSIONS",
        "HTTP_SEC_WEBSOCKET_PROTOCOL",
        "HTTP_USER_AGENT",
        "PATH_INFO",
        "RAW_URI",
        "REQUEST_URI",
        "SCRIPT_NAME",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_SOFTWARE",
    }
)

#: How many of them are kept for others that come, and how long they are at most; clients choose them.
_MOST_VALUES, _LONGEST_VALUE = 512, 512

_values: dict[str, str] = {}


def clean_environ(environ: dict[str, Any]) -> dict[str, Any]:
    """
    Copy a WSGI environ without what belongs to the server.

    What the request said, what the server said of itself, and what other middleware put there (sessions,
    users) stays. Sockets, buffers and request objects go, or an idle connection would keep them alive; so
    does the process environment, which wsgiref mixes in: it is big, and holds secrets.

    Args:
        environ: The server's; not modified.

    Returns:
        A dict of its own, with an empty ``wsgi.input`` and ``wsgi.errors`` at :data:`sys.stderr`.
    """
    share = _SHARED.get
    clean: dict[str, Any] = {}
    for key, value in environ.items():
        shared = share(key)
        if shared is not None:
            key = shared
        elif key in _SERVERS_OWN or _is_from_process(key, value):
            continue
        clean[key] = _share(key, value) if type(value) is str else value
    clean["wsgi.input"] = EMPTY_INPUT
    clean["wsgi.errors"] = sys.stderr
    return clean


def _share(key: str, value: str) -> str:
    """Return an equal string: the same one for many connections, if it is likely that they have it."""
    shared = _SHARED.get(value)
    if shared is not None:
        return shared
    if key not in _REPEATED or len(value) > _LONGEST_VALUE:
        return value
    if len(_values) >= _MOST_VALUES:
        _values.clear()
    return _values.setdefault(value, value)


def _is_from_process(key: str, value: Any) -> bool:
    return type(value) is str and not key.startswith("HTTP_") and os.environ.get(key) == value
