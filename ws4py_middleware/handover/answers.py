"""
Answer a request for a WebSocket with something else, and end the HTTP connection behind it.

What follows a refused upgrade on the wire may be frames, or a second request that somebody has
hidden in a body. So each such answer says ``Connection: close``, and the server is told to mean it.
:pep:`3333` forbids applications that header, and each server has its own opinion:

===========================  =======================================================================
gunicorn                     drops ``Connection``; ``Response.force_close()`` ends the connection
gevent.pywsgi                sends it; ends the connection only at exactly ``close``, or when its
                             handler's ``close_connection`` is true
cheroot                      sends it, and goes on; its request's ``close_connection`` ends it
wsgiref, Django runserver    assert that it is not there; a header set behind their back is sent, and
                             Django's ends the connection by it
Werkzeug                     always ends the connection
waitress                     asserts that it is not there; a header set behind its back is sent, and it ends
                             the connection when the request asked for that
uWSGI                        sends it, and always ends the connection
===========================  =======================================================================
"""

from __future__ import annotations

import http
import sys
from collections.abc import Iterable
from typing import Any
from wsgiref.handlers import BaseHandler

from ..exc import HandshakeError
from .adapter import Environ, StartResponse, owner
from .waitress import end_connection

__all__ = [
    "HOP_BY_HOP",
    "answer",
    "answer_error",
    "refuses_hop_by_hop",
    "start_closing",
    "without_hop_by_hop",
]

Headers = list[tuple[str, str]]

#: :rfc:`2616#section-13.5.1`, which :pep:`3333` refers to.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)


def start_closing(
    environ: Environ, start_response: StartResponse, status: str, headers: Headers, exc_info: Any = None
) -> Any:
    """
    Call ``start_response`` for an answer that ends the HTTP connection.

    Args:
        environ: The request's.
        start_response: The server's, or that of other middleware.
        status: Such as ``"403 Forbidden"``.
        headers: All that are to be sent, ``Upgrade`` included; ``Connection: close`` is added.
        exc_info: As for ``start_response``.

    Returns:
        The server's ``write``.
    """
    server: Any = owner(start_response)
    end_to_end = without_hop_by_hop(headers)
    upgrade = [(name, value) for name, value in headers if name.lower() == "upgrade"]
    # Whoever sends Upgrade lists it in Connection, RFC 9110 section 7.8.
    own = [*upgrade, ("Connection", "close, Upgrade" if upgrade else "close")]
    if isinstance(server, BaseHandler):
        write = _start(start_response, status, end_to_end, exc_info)
        sent: Any = vars(server)["headers"]
        for name, value in own:
            # Django's looks for exactly "close".
            sent[name] = "close" if name == "Connection" else value
        return write
    if refuses_hop_by_hop(environ):
        write = _start(start_response, status, end_to_end, exc_info)
        end_connection(environ, write, own)
        return write
    try:
        write = _start(start_response, status, end_to_end + own, exc_info)
    except AssertionError:
        # A server that we do not know and that keeps to the letter of PEP 3333.
        write = start_response(status, end_to_end, sys.exc_info())
    _end_connection(server)
    return write


def _start(start_response: StartResponse, status: str, headers: Headers, exc_info: Any) -> Any:
    # Not all take exc_info=None.
    return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)


def refuses_hop_by_hop(environ: Environ) -> bool:
    """Tell whether the server is wsgiref or waitress, also behind a ``start_response`` that was wrapped."""
    return str(environ.get("SERVER_SOFTWARE", "")).startswith("WSGIServer/") or (
        "waitress.client_disconnected" in environ
    )


def _end_connection(server: Any) -> None:
    force_close = getattr(server, "force_close", None)
    if force_close is not None:
        force_close()  # gunicorn
    if hasattr(server, "close_connection"):
        server.close_connection = True  # gevent.pywsgi's handler
    request: Any = getattr(server, "req", object())
    if hasattr(request, "close_connection"):
        request.close_connection = True  # cheroot's gateway


def without_hop_by_hop(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers that an application may send, :pep:`3333`."""
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def answer(
    environ: Environ,
    start_response: StartResponse,
    status: int,
    text: str,
    headers: Iterable[tuple[str, str]] = (),
    exc_info: Any = None,
) -> Iterable[bytes]:
    """
    Answer with one line of text, and end the HTTP connection.

    Args:
        environ: The request's.
        start_response: The server's.
        status: The HTTP status.
        text: The line, without its end.
        headers: Further headers.
        exc_info: As for ``start_response``.
    """
    body = (text + "\n").encode()
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Refused"
    fixed = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_closing(environ, start_response, f"{status} {phrase}", [*fixed, *headers], exc_info)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def answer_error(
    environ: Environ, start_response: StartResponse, error: HandshakeError, exc_info: Any = None
) -> Iterable[bytes]:
    """Answer with the status, the headers and the reason of an error."""
    return answer(environ, start_response, error.status, error.msg, error.headers, exc_info)
