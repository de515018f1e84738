"""
The table of servers: how to recognise each, where it keeps the socket, and the bytes it has read ahead.

==========================  ============================================  =================================
server                      the socket                                    bytes already read
==========================  ============================================  =================================
gunicorn sync, gthread,     ``environ["gunicorn.socket"]``                ``wsgi.input``'s ``unreader``
gevent
gunicorn gevent_pywsgi,     ``wsgi.input.raw._sock``                      ``wsgi.input.read()``
gevent.pywsgi
Werkzeug (Flask's own)      ``environ["werkzeug.socket"]``                ``wsgi.input.read()``
wsgiref, Django runserver   ``request_handler.rfile.raw._sock``           ``rfile.read()``
cheroot (CherryPy)          ``wsgi.input.rfile.raw._sock``                ``rfile.read()``
waitress                    ``waitress.client_disconnected.__self__``,    ``channel.request.header_plus``
                            the channel: its descriptor
uWSGI                       ``uwsgi.connection_fd()``, public             ``uwsgi_proto_base_read_body()``,
                                                                          which the binary exports
==========================  ============================================  =================================

What an adapter is stands in ``adapter``; ``waitress`` and ``uwsgi`` have theirs, all others are here. A
server that is not in the table: subclass :class:`Adapter`, and :func:`register` it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover.adapter import (
    ELSEWHERE,
    Adapter,
    Environ,
    Located,
    StartResponse,
    Taken,
    owner,
)
from ws4py_middleware.handover.uwsgi import UWSGI
from ws4py_middleware.handover.waitress import Waitress

__all__ = ["Adapter", "Environ", "Located", "StartResponse", "Taken", "find", "owner", "register"]


class _Gunicorn(Adapter):
    """The sync, gthread and gevent workers: gunicorn's own HTTP parser."""

    name = "gunicorn"

    def match(self, environ: Environ, start_response: StartResponse | None) -> bool:
        return "gunicorn.socket" in environ

    def locate(self, environ: Environ, start_response: StartResponse | None) -> Located:
        # Under HTTP/2 the key holds the socket of all the connection's streams.
        if environ.get("SERVER_PROTOCOL") != "HTTP/1.1":
            raise self.refusal(f"WebSockets need HTTP/1.1, this request is {environ.get('SERVER_PROTOCOL')}")
        request = getattr(owner(start_response), "req", None)
        if type(request).__module__.startswith("gunicorn.uwsgi"):
            raise self.refusal("the proxy in front of it speaks the uwsgi protocol; use HTTP")
        sock, body = environ["gunicorn.socket"], environ["wsgi.input"]
        unreader, body_buffer = body.reader.unreader, body.buf
        if unreader.sock is not sock:
            raise self.refusal("the request did not come on a connection of its own")

        def read_early() -> bytes:
            # What somebody has read of an empty body, then what the parser has not.
            early: bytes = body_buffer.getvalue() + unreader.buf.getvalue()
            unreader.buf = io.BytesIO()
            return early

        if not isinstance(unreader.buf, io.BytesIO):
            raise AttributeError("unreader.buf")
        return Located(sock, read_early)

    def finish(self, environ: Environ, start_response: StartResponse | None) -> Iterable[bytes]:
        body = super().finish(environ, start_response)
        # A 101 would be kept alive: one round through gunicorn's poller, for the dummy.
        force_close = getattr(owner(start_response), "force_close", None)
        if force_close is not None:
            force_close()
        return body


class _Buffered(Adapter):
    """Servers that read requests through ``socket.makefile("rb")``."""

    def file(self, environ: Environ, start_response: StartResponse | None) -> Any:
        """Return the buffered file; raise AttributeError or KeyError when it is not where it should be."""
        raise NotImplementedError

    def locate(self, environ: Environ, start_response: StartResponse | None) -> Located:
        file = self.file(environ, start_response)
        return Located(file.raw._sock, lambda: file.read() or b"")


class _Werkzeug(_Buffered):
    """``run_simple``, ``flask run``."""

    name = "Werkzeug"

    def match(self, environ: Environ, start_response: StartResponse | None) -> bool:
        return "werkzeug.socket" in environ

    def file(self, environ: Environ, start_response: StartResponse | None) -> Any:
        file = environ["wsgi.input"]
        if file.raw._sock is not environ["werkzeug.socket"]:
            raise AttributeError("wsgi.input does not read from the socket")
        return file


class _GeventPyWSGI(_Buffered):
    """``gevent.pywsgi.WSGIServer``, alone or as gunicorn's ``gevent_pywsgi`` worker."""

    name = "gevent.pywsgi"

    def match(self, environ: Environ, start_response: StartResponse | None) -> bool:
        module = type(owner(start_response)).__module__
        return module == "gevent.pywsgi" or str(environ.get("SERVER_SOFTWARE", "")).startswith("gevent/")

    def file(self, environ: Environ, start_response: StartResponse | None) -> Any:
        file = environ["wsgi.input"]
        # The bare file since gevent 20.12, when the request asks for an upgrade.
        return file if hasattr(file, "raw") else file.rfile


class _Cheroot(_Buffered):
    """cheroot, the server of CherryPy."""

    name = "cheroot"

    def match(self, environ: Environ, start_response: StartResponse | None) -> bool:
        return type(environ.get("wsgi.input")).__module__.startswith("cheroot.")

    def file(self, environ: Environ, start_response: StartResponse | None) -> Any:
        file = environ["wsgi.input"]
        if type(file).__name__ != "KnownLengthRFile":
            raise self.refusal("the request is chunked; the request of a WebSocket has no body")
        return file.rfile

    def finish(self, environ: Environ, start_response: StartResponse | None) -> Iterable[bytes]:
        request = getattr(owner(start_response), "req", None)
        if request is not None:
            # A 101 would be kept alive: one round through cheroot's selector, for the dummy.
            request.close_connection = True
        return super().finish(environ, start_response)


class _WSGIRef(_Buffered):
    """``wsgiref.simple_server`` and Django's ``runserver``, which is built on it."""

    name = "wsgiref"

    def match(self, environ: Environ, start_response: StartResponse | None) -> bool:
        if hasattr(getattr(owner(start_response), "request_handler", None), "rfile"):
            return True
        return str(environ.get("SERVER_SOFTWARE", "")).startswith("WSGIServer/")

    def file(self, environ: Environ, start_response: StartResponse | None) -> Any:
        handler = getattr(owner(start_response), "request_handler", None)
        if handler is not None:
            return handler.rfile
        file = environ["wsgi.input"]
        # Django's LimitedStream has the file's own read().
        return file if hasattr(file, "raw") else file._read.__self__


_adapters: list[Adapter] = [
    _Gunicorn(),
    _Werkzeug(),
    _GeventPyWSGI(),
    _Cheroot(),
    _WSGIRef(),
    Waitress(),
    UWSGI(),
]


def register(adapter: Adapter) -> None:
    """Put an adapter in front of all others, for the whole process; at import, before requests come."""
    _adapters.insert(0, adapter)


def find(environ: Environ, start_response: StartResponse | None) -> Adapter:
    """
    Return the adapter of the server that this request came from.

    Raises:
        HandoverError: The server is not known, or has no socket to give: which one, and what to do.
    """
    for adapter in _adapters:
        if adapter.match(environ, start_response):
            return adapter
    name = environ.get("SERVER_SOFTWARE") or "this server"
    raise HandoverError(f"{name} does not give up its connection; {ELSEWHERE}")
