"""
What is known of one server, in the form that all of them share.

The order is: look everything up, take the socket, then read what was read ahead. Much of it is private to
the server, so a look-up that fails is a :exc:`~ws4py_middleware.exc.HandoverError` before anything was
touched. After ``take()`` the server's files read the dummy: reading one to its end gives its buffer, and
can not block.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover.sockets import take
from ws4py_middleware.handover.transports import Transport

__all__ = ["ELSEWHERE", "OUTERMOST", "Adapter", "Environ", "Located", "StartResponse", "Taken", "owner"]

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

    #: The server's socket object, or what :meth:`Adapter.take` takes in its place.
    sock: Any
    #: Called once the socket was taken: returns the bytes that were read ahead.
    read_early: Callable[[], bytes]


class Adapter:
    """
    What is known of one server.

    A subclass has a :attr:`name`, :meth:`match` and :meth:`locate`; where the socket is not an object that
    :func:`~ws4py_middleware.handover.sockets.take` knows, it overrides :meth:`take` and
    :meth:`is_gevent`.
    """

    #: The server as people call it, for messages.
    name = "this server"

    #: Whether its connections are no sockets: only the manager that it has put into the environ can run them.
    brings_manager = False

    #: What to say when :meth:`locate` runs into something that is not there.
    not_there = OUTERMOST

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
            raise self.refusal(self.not_there) from error

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
            transport, sink = self.take(located.sock)
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

    def take(self, sock: Any) -> tuple[Transport, _socket.socket]:
        """
        Take the connection out of what :meth:`locate` found; return it and the sink.

        Raises:
            HandoverError: It can not be done; nothing was touched.
        """
        return take(sock)

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
