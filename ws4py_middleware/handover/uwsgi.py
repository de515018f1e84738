"""
uWSGI: the server is a program in C, and the connection is a number.

That number is public, ``uwsgi.connection_fd()``. What uWSGI has read behind the request is not to be had
from Python: ``wsgi.input`` ends where the request's body does. But uWSGI exports its functions for plugins,
and one of them, ``uwsgi_proto_base_read_body``, returns those bytes. It is found through :mod:`ctypes`;
where it is not, or the request is not the one it should be, nothing has happened yet and the answer is 501.

Not all of its protocols can be served. TLS of its own (``https-socket``) is inside C structures; FastCGI,
SCGI and the like wrap what is sent. Its HTTP router (``http``, ``https``) does TLS, and passes the
connection on if it is told to, by ``http-raw-body``.

Python's :mod:`atexit` runs only where uWSGI finds it convenient, so :func:`call_at_exit` uses its own hook.
"""

from __future__ import annotations

import _socket
import ctypes
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from ws4py_middleware.handover.adapter import Adapter, Environ, Located, StartResponse
from ws4py_middleware.handover.sockets import Transport, take_fd

__all__ = ["UWSGI", "call_at_exit", "is_master"]

_CHUNK = 65536

# Sockets whose bytes are not the client's.
_WRAPPED = frozenset(
    {
        "fastcgi-nph-socket",
        "fastcgi-socket",
        "puwsgi-socket",
        "raw-socket",
        "scgi-nph-socket",
        "scgi-socket",
        "ssl-socket",
        "suwsgi-socket",
        "zeromq-socket",
        "zmq",
        "zmq-socket",
    }
)
_ROUTERS = frozenset({"http", "http-router", "https", "https2", "http-to-https"})


class UWSGI(Adapter):
    """``--http-socket``, ``--socket``, and ``--http`` with ``--http-raw-body``; threads or ``--gevent``."""

    name = "uWSGI"

    not_there = "what it exports for plugins is not as in uWSGI 2.0; run that, as the program uwsgi"

    def match(self, environ: Environ, start_response: StartResponse | None) -> bool:
        return "uwsgi.version" in environ

    def is_gevent(self, environ: Environ, start_response: StartResponse | None) -> bool:
        self._look_up(environ, start_response)
        return _loop() == "gevent"

    def locate(self, environ: Environ, start_response: StartResponse | None) -> Located:
        why = _obstacle(environ)
        if why is not None:
            raise self.refusal(why)
        request = _current_request()
        # First this: outside of a request, uWSGI's own functions use an address that is 0.
        if not request:
            raise self.refusal("this is not the thread, or greenlet, that it has called the application in")
        fd: int = _module().connection_fd()
        # The descriptor is the first member of the structure, in all releases.
        if ctypes.c_int.from_address(request).value != fd:
            raise AttributeError("wsgi_request")
        read = _symbols().uwsgi_proto_base_read_body

        def read_early() -> bytes:
            buffer, early = ctypes.create_string_buffer(_CHUNK), bytearray()
            # What was read ahead, and then the end of the dummy.
            while (size := read(request, buffer, _CHUNK)) > 0:
                early += buffer.raw[:size]
            return bytes(early)

        return Located(fd, read_early)

    def take(self, sock: int) -> tuple[Transport, _socket.socket]:
        return take_fd(sock, gevent=_loop() == "gevent")


def _module() -> Any:
    """Return the module that is built into uWSGI."""
    module = sys.modules.get("uwsgi")
    if module is None:
        raise AttributeError("uwsgi")
    return module


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _loop() -> str:
    """Return the name of uWSGI's loop engine, or ``""`` for its own."""
    loop = _module().loop
    return "" if loop is None else _text(loop)


def _obstacle(environ: Environ) -> str | None:
    """Say why the connection can not be had by the way uWSGI was started, or None when it can."""
    uwsgi = _module()
    options = {_text(option) for option in uwsgi.opt}
    if not uwsgi.has_threads and _loop() != "gevent":
        return "it runs no threads of Python's; start it with --enable-threads"
    if _loop() not in ("", "gevent") or (_loop() == "" and "async" in options):
        return "its async modes are not supported; use --threads or --gevent"
    if "https-socket" in options and environ.get("wsgi.url_scheme") == "https":
        return "the TLS of --https-socket is inside it; use --https with --http-raw-body, or a proxy"
    wrapped = sorted(options & _WRAPPED)
    if wrapped or not _speaks_plainly(uwsgi.opt):
        socket = f"--{wrapped[0]}" if wrapped else "--socket-protocol"
        return f"the protocol of {socket} wraps what is sent; use --http-socket or --http"
    if options & _ROUTERS and not options & {"http-raw-body", "http-websockets"}:
        return "its router passes no frames on; start it with --http-raw-body"
    if environ.get("HTTP_TRANSFER_ENCODING") or environ.get("CONTENT_LENGTH") not in (None, "", "0"):
        return "the request has a body; the request of a WebSocket has none"
    return None


def _speaks_plainly(options: dict[Any, Any]) -> bool:
    named = [value for key, value in options.items() if _text(key) in ("protocol", "socket-protocol")]
    flat = [item for value in named for item in (value if isinstance(value, list) else [value])]
    return all(_text(item) in ("uwsgi", "http", "http11") for item in flat)


@functools.cache
def _symbols() -> Any:
    """
    Find uWSGI's functions in the program itself.

    Raises:
        AttributeError: One of them is not there.
    """
    # PyDLL keeps the interpreter's lock: nothing here waits.
    program = ctypes.PyDLL(None)
    read = program.uwsgi_proto_base_read_body
    read.restype, read.argtypes = ctypes.c_ssize_t, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    for current in (program.simple_current_wsgi_req, program.threaded_current_wsgi_req):
        current.restype, current.argtypes = ctypes.c_void_p, []
    return program


def _current_request() -> int | None:
    """Return the address of the ``struct wsgi_request`` that this thread or greenlet is in."""
    if _loop() == "gevent":
        from gevent import getcurrent

        of_greenlet: int | None = getattr(getcurrent(), "uwsgi_wsgi_req", None)
        return of_greenlet
    symbols = _symbols()
    # The one for threads reads a key that exists only where there are some.
    current = symbols.threaded_current_wsgi_req if _module().cores > 1 else symbols.simple_current_wsgi_req
    found: int | None = current()
    return found


def is_master() -> bool:
    """
    Tell whether this process is uWSGI's master, which is about to fork its workers.

    A thread that holds Python's lock in that moment stops its worker for good: uWSGI forks in C, and
    asks nobody.
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    return hasattr(uwsgi, "masterpid") and uwsgi.masterpid() == os.getpid()


def call_at_exit(function: Callable[[], object]) -> None:
    """
    Have uWSGI call a function when it ends this process, before what it was to call until now.

    Inside gevent's loop uWSGI skips :mod:`atexit`, but not this. Elsewhere it calls both, unless one of its
    threads is inside a request. Without effect outside of uWSGI.
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    if not hasattr(uwsgi, "connection_fd"):
        return  # some other module of that name, or none
    before = getattr(uwsgi, "atexit", None)

    def atexit() -> None:
        function()
        if before is not None:
            before()

    uwsgi.atexit = atexit
