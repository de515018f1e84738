"""
Take a connection out of the web server that accepted it.

The server keeps *its* socket object, but behind it sits one end of a throw-away socketpair: whatever the
server does after the application returned (it writes a head, drains the input, shuts down, closes, polls
for the next request) touches that dummy and never the WebSocket. Nothing is monkey-patched and no frame is
walked.

===================  ==================================================================================
``servers``          the table of servers: who keeps the socket where, and the bytes it has read ahead
``adapter``          what is known of one server; ``waitress`` and ``uwsgi`` have files of their own
``environs``         the WSGI environ as a handler keeps it, without what belongs to the server
``sockets``          ``take()`` a socket that belongs to a server, ``from_socket()`` one that is ours
``transports``       the non-blocking connection the drivers work with, plain or TLS
``inert``            what the server is left with
``openssl``          the flavour of pyOpenSSL, loaded only when a server uses it
===================  ==================================================================================

The one thing to call is :func:`find`::

    adapter = find(environ, start_response)                # HandoverError (501): it hides its socket
    taken = adapter.detach(environ, start_response)        # the same; in either case nothing was touched
    taken.transport.sendall(head_of_the_101, timeout=10.0)
    ...                                                    # taken.early is what the client sent ahead
    return adapter.finish(environ, start_response)         # for the access log

:attr:`Taken.sink` swallows what the server still writes. Its owner reads it until it ends, and closes it.
"""

from __future__ import annotations

from ws4py_middleware.handover.environs import clean_environ
from ws4py_middleware.handover.servers import Adapter, Located, Taken, find, register
from ws4py_middleware.handover.sockets import from_socket, take, take_fd
from ws4py_middleware.handover.transports import TLSTransport, Transport

__all__ = [
    "Adapter",
    "Located",
    "TLSTransport",
    "Taken",
    "Transport",
    "clean_environ",
    "find",
    "from_socket",
    "register",
    "take",
    "take_fd",
]
