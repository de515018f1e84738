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
==========================  ============================================  =================================

The order is: look everything up, take the socket, then read what was read ahead. Much of it is private to
the server, so a look-up that fails is a :exc:`~ws4py_middleware.exc.HandoverError` before anything was
touched. After ``take()`` the server's files read the dummy: reading one to its end gives its buffer, and
can not block.

A server that is not here: subclass :class:`Adapter`, and :func:`register` it.
"""

from __future__ import annotations

import _socket
import io
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover.sockets import take
from ws4py_middleware.handover.transports import Transport

__all__ = ["Adapter", "Taken", "find", "register"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

OUTERMOST = "another middleware has replaced wsgi.input; put WebSocketMiddleware outermost"
ELSEWHERE = "run it under gunicorn (sync, gthread or gevent), gevent.pywsgi, Werkzeug, cheroot or wsgiref"

# In the environ of a connection that is gone: a second upgrade of it must not serve the dummy.
_TAKEN = "ws4py_middleware.taken"


class Taken(NamedTuple):
    """What :meth:`Adapter.detach` gives."""

    #: The client's connection.
    transport: Transport
    #: What the client sent behind its request and the server had read already; often nothing.
    early: bytes
    #: Swallows what the server still writes. Read it until ``b""``, then close it.
    sink: _socket.socket


class Located(NamedTuple):
    """What :meth:`Adapter.locate` finds: nothing of it has been touched."""

    #: The server's socket object.
    sock: Any
    #: Called once the socket was taken: returns the bytes that were read ahead.
    read_early: Callable[[], bytes]


class Adapter:
    """
    What is known of one server.

    A subclass has a :attr:`name`, :meth:`match` and :meth:`locate`; where the socket is not an object that
    :func:`~ws4py_middleware.handover.sockets.take` knows, it overrides :meth:`detach` and
    :meth:`is_gevent` as a whole.
    """

    #: The server as people call it, for messages.
    name = "this server"

    def match(self, environ: Environ, start_response: StartResponse | None) -> bool:
        """Say whether this request came from this server; cheap, by key or type, and without any effect."""
        raise NotImplementedError

    def locate(self, environ: Environ, start_response: StartResponse | None) -> Located:
        """
        Find the socket and the bytes read ahead, touching nothing.

        Raises:
            HandoverError: It can not be done, and why.
            AttributeError, KeyError: The server is not as expected; :meth:`detach` says the rest.
        """
        raise NotImplementedError

    def is_gevent(self, environ: Environ, start_response: StartResponse | None) -> bool:
        """
        Say whether the connection is one of gevent's, and so who is to manage it; touch nothing.

        Raises:
            HandoverError: The server hides its socket, as :meth:`detach` would say.
        """
        sock = self._look_up(environ, start_response).sock
        return any(cls.__module__.startswith("gevent.") for cls in type(sock).__mro__)

    def _look_up(self, environ: Environ, start_response: StartResponse | None) -> Located:
        if environ.get(_TAKEN):
            raise HandoverError("this connection has been upgraded already; upgrade it once")
        try:
            return self.locate(environ, start_response)
        except (AttributeError, KeyError) as error:
            raise self.refusal(OUTERMOST) from error

    def detach(self, environ: Environ, start_response: StartResponse | None) -> Taken:
        """
        Take the client's connection away from the server.

        Whatever the server, a framework or other middleware does with the connection from here on, the client
        sees nothing of it.

        Args:
            environ: The request's own environ, not a copy: it is marked, so that it is taken only once.
            start_response: The server's, or another middleware's, or None where only the environ is known.

        Raises:
            HandoverError: The server hides its socket; the message says which server and what to do. Nothing
                was touched.
        """
        located = self._look_up(environ, start_response)
        try:
            transport, sink = take(located.sock)
        except HandoverError as error:
            raise self.refusal(f"{error}; {ELSEWHERE}", error.status, error.headers) from error
        environ[_TAKEN] = True
        try:
            early = located.read_early()
        except BaseException:
            # Too late to give it back; but half a stream is worse than none.
            transport.abort()
            sink.close()
            raise
        return Taken(transport, early, sink)

    def finish(self, environ: Environ, start_response: StartResponse | None) -> Iterable[bytes]:
        """
        Tell the server that the request is done, for its access log; return what the application returns.

        The 101 itself has been sent: what the server writes now goes to the dummy.
        """
        if start_response is not None:
            start_response("101 Switching Protocols", [])
        return []

    def refusal(self, why: str, status: int = 501, headers: Iterable[tuple[str, str]] = ()) -> HandoverError:
        """Make the error that names this server."""
        return HandoverError(f"{self.name} does not give up its connection: {why}", status, headers)


def owner(start_response: StartResponse | None) -> Any:
    """Return the server's object whose method ``start_response`` is, or None when somebody wrapped it."""
    return getattr(start_response, "__self__", None)


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


_adapters: list[Adapter] = [_Gunicorn(), _Werkzeug(), _GeventPyWSGI(), _Cheroot(), _WSGIRef()]


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
