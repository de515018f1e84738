"""
Take a socket that belongs to a server, or wrap one that is ours.

=================================  =========================================================================
``socket.socket``, gevent's        the descriptor is detached and the server's *object* initialised again, on
                                   a dummy: files and bound methods that hold it follow
``ssl.SSLSocket``                  the object must stay ours, so it gets an inert class (see ``inert``)
gevent's ``SSLSocket``             it is a wrapper around a C socket, and that one is taken out of it
pyOpenSSL's ``Connection``         a second object takes over OpenSSL's state; the first gets an inert class
a descriptor, of servers in C      ours is a duplicate of it, and the dummy goes under its number
=================================  =========================================================================

Every other type is refused before anything is touched: a socket that was subclassed may do its I/O elsewhere.
"""

from __future__ import annotations

import _socket
import os
import sys
from typing import Any

from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover.inert import InertSSLSocket, dummy_pair, inert_class, no_socket
from ws4py_middleware.handover.transports import TLSTransport, Transport

__all__ = ["Transport", "from_socket", "take", "take_fd"]

# Where the classes of a socket that we know come from.
_STDLIB = frozenset({"socket", "ssl", "_socket", "builtins"})


def take(sock: Any) -> tuple[Transport, _socket.socket]:
    """
    Take the connection out of a server's socket, and leave a dummy in its place.

    The server may go on to use its object in any way: it finds a client that ended its side and swallows all.

    Args:
        sock: The server's socket object, of one of the types in the table above.

    Returns:
        The connection, non-blocking, and the sink, a non-blocking C socket with what the server still
        writes. Read that until ``b""``, then close it. It ends when the server closes its socket.

    Raises:
        HandoverError: The socket is of another type, or closed already, or the process is out of descriptors
            (503). Nothing was touched.
    """
    kind = _kind(sock)
    if kind == "unknown":
        cls = type(sock)
        raise HandoverError(f"a socket of type {cls.__module__}.{cls.__qualname__} can not be handed over")
    if kind == "inert":
        raise HandoverError("this connection has been handed over already")
    dummy, sink = dummy_pair()
    try:
        transport = _TAKE[kind](sock, dummy)
    except AttributeError as error:
        sink.close()
        raise HandoverError(f"the server's socket is not as expected: {error}") from error
    except BaseException:
        sink.close()
        raise
    finally:
        # Whoever used the dummy has detached it.
        dummy.close()
    return transport, sink


def take_fd(fd: int, *, gevent: bool = False) -> tuple[Transport, _socket.socket]:
    """
    Take the connection out of a descriptor, for servers whose socket is not a Python object.

    All that knows the connection by its number, C code and pollers too, has the dummy from then on. The
    caller makes sure that nobody closes the number, or reads from it, at that very moment.

    Args:
        fd: The server's descriptor of a connected stream socket.
        gevent: Whoever waits for the connection does so in gevent's hub.

    Returns:
        As :func:`take`.

    Raises:
        HandoverError: It is no socket, or closed, or the process is out of descriptors (503). Nothing was
            touched.
    """
    # First of all, or the dummy could get the number of a descriptor that is closed.
    ours = _duplicate(fd)
    try:
        dummy, sink = dummy_pair()
    except HandoverError:
        ours.close()
        raise
    try:
        # A server that expects its writes to come back would hang when the dummy's buffer is full.
        os.set_blocking(dummy.fileno(), os.get_blocking(fd))
        os.dup2(dummy.fileno(), fd, os.get_inheritable(fd))
    except OSError as error:
        sink.close()
        ours.close()
        raise no_socket(error) from error
    finally:
        dummy.close()
    return Transport(ours, gevent=gevent), sink


def _duplicate(fd: int) -> _socket.socket:
    try:
        copy = os.dup(fd)
    except OSError as error:
        raise no_socket(error) from error
    try:
        return _socket.socket(fileno=copy)
    except OSError as error:
        os.close(copy)
        raise no_socket(error) from error


def from_socket(sock: Any) -> Transport:
    """
    Wrap a connected socket that no server knows of: a client's, or one end of a socketpair.

    Any of the types above, and plain sockets of other classes. It becomes non-blocking, and is closed with
    the transport.
    """
    kind = _kind(sock)
    if kind == "tls":
        return TLSTransport(sock, _tls_object(sock))
    if kind == "gevent-tls":
        return TLSTransport(sock._sock, _tls_object(sock), gevent=True, owner=sock)
    if kind == "gevent":
        return Transport(sock._sock, gevent=True, owner=sock)
    if kind == "openssl":
        from ws4py_middleware.handover.openssl import OpenSSLObject

        return TLSTransport(sock._socket, OpenSSLObject(sock))
    if not isinstance(sock, _socket.socket):
        raise TypeError(f"not a socket: {sock!r}")
    return Transport(sock, owner=sock)


def _kind(sock: Any) -> str:
    """Recognise by the modules of the classes, so that nothing optional is imported."""
    modules = {cls.__module__ for cls in type(sock).__mro__}
    if InertSSLSocket.__module__ in modules or f"{__package__}.openssl" in modules:
        return "inert"
    if modules <= _STDLIB and isinstance(sock, _socket.socket):
        return "tls" if "ssl" in modules else "plain"
    if "gevent._socket3" in modules and all(name.startswith(("gevent.", "builtins")) for name in modules):
        return "gevent-tls" if "gevent.ssl" in modules else "gevent"
    if modules == {"OpenSSL.SSL", "builtins"} and type(sock).__name__ == "Connection":
        return "openssl"
    return "unknown"


def _take_plain(sock: Any, dummy: _socket.socket) -> Transport:
    # Also gevent's: it detaches in the same way, and closes its own watchers.
    is_gevent = not isinstance(sock, _socket.socket)
    family, kind, proto, timeout, refs = sock.family, sock.type, sock.proto, sock.gettimeout(), sock._io_refs
    if sock.fileno() < 0:
        raise HandoverError("the server has closed the connection already")
    ours = _socket.socket(family, kind, proto, fileno=sock.detach())
    _initialise(sock, dummy, timeout, refs)
    return Transport(ours, gevent=is_gevent)


def _take_tls(sock: Any, dummy: _socket.socket) -> Transport:
    tls = _tls_object(sock)
    inert = inert_class(type(sock), InertSSLSocket)
    for_server = _socket.socket(dummy.family, dummy.type, dummy.proto, fileno=dummy.detach())
    for_server.settimeout(sock.gettimeout())
    sock._ws_dummy = for_server
    sock.__class__ = inert
    # The server can not reach OpenSSL through its object any more, and close() frees it at once.
    sock._sslobj = None
    if sys.implementation.name == "pypy":
        # There a TLS object asks its socket how long to wait; the answer would be the server's timeout.
        tls.socket = None
    return TLSTransport(sock, tls)


def _take_gevent_tls(sock: Any, dummy: _socket.socket) -> Transport:
    tls, ours, timeout, refs = _tls_object(sock), sock._sock, sock.gettimeout(), sock._io_refs
    drop_watchers = sock._drop_events_and_close
    # Without _sslobj it is a plain gevent socket, on the dummy. pywsgi looks into _sock, so an inert class
    # would not do.
    drop_watchers(closefd=False)
    sock._sslobj = None
    _initialise(sock, dummy, timeout, refs)
    return TLSTransport(ours, tls, gevent=True)


def _take_openssl(sock: Any, dummy: _socket.socket) -> Transport:
    from ws4py_middleware.handover.openssl import take_connection

    return TLSTransport(*take_connection(sock, dummy))


_TAKE = {
    "plain": _take_plain,
    "gevent": _take_plain,
    "tls": _take_tls,
    "gevent-tls": _take_gevent_tls,
    "openssl": _take_openssl,
}


def _tls_object(sock: Any) -> Any:
    if sock._sslobj is None:
        raise HandoverError("the TLS connection is closed, or its handshake is not done")
    return sock._sslobj


def _initialise(sock: Any, dummy: _socket.socket, timeout: float | None, refs: int) -> None:
    """Point a server's object, which has lost its descriptor, at the dummy."""
    # The class below ssl's: SSLSocket.__init__ would start a handshake.
    cls: Any = next(c for c in type(sock).__mro__ if c.__name__ == "socket")
    cls.__init__(sock, dummy.family, dummy.type, dummy.proto, fileno=dummy.detach())
    sock.settimeout(timeout)
    # Files that were made from it: the dummy is closed with the last one, as the connection would have been.
    sock._io_refs = refs
