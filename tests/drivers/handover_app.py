"""
A WSGI application on the hand-over alone: it answers 101 and sends back every byte it gets.

It knows nothing of WebSocket frames; under gevent a connection has a greenlet, elsewhere a thread.
"""

from __future__ import annotations

import _socket
import contextlib
import functools
import select
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover import Taken, Transport, clean_environ, find

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path.startswith("/ws"):
        return serve(path, environ, start_response)
    if path == "/slow":
        time.sleep(0.5)
    return answer(start_response, "200 OK", b"hello")


def answer(start_response: StartResponse, status: str, body: bytes) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def serve(path: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    respond: StartResponse | None = start_response
    if path == "/ws-wrapped":
        respond = functools.partial(start_response)
    if path == "/ws-environ":
        respond = None
    if path == "/ws-replaced":
        environ["wsgi.input"] = object()
    try:
        adapter = find(environ, respond)
        taken = adapter.detach(environ, respond)
    except HandoverError as error:
        return answer(start_response, f"{error.status} No", error.msg.encode())
    with contextlib.suppress(OSError):
        taken.transport.sendall(HEAD, timeout=5.0)
    start(taken, repr(sorted(clean_environ(environ))).encode() if path == "/ws-keys" else b"")
    if path == "/ws-body":
        # What a view may do after upgrade(): the server writes all of it to the dummy.
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"swallow this " * 100_000]
    if path == "/ws-raise":
        raise ZeroDivisionError("after the hand-over")
    if path == "/ws-twice":
        try:
            adapter.detach(environ, respond)
        except HandoverError as error:
            taken.transport.sendall(str(error).encode(), timeout=5.0)
    return adapter.finish(environ, respond or start_response)


def start(taken: Taken, first: bytes) -> None:
    if taken.transport.gevent:
        import gevent
        from gevent.select import poll

        gevent.spawn(echo, taken.transport, first + taken.early, poll)
        gevent.spawn(swallow, taken.sink, poll)
    else:
        echoing = (taken.transport, first + taken.early, select.poll)
        threading.Thread(target=echo, args=echoing, daemon=True).start()
        threading.Thread(target=swallow, args=(taken.sink, select.poll), daemon=True).start()


def echo(transport: Transport, data: bytes | None, poll: Callable[[], Any]) -> None:
    poller = poll()
    poller.register(transport.fileno(), select.POLLIN)
    try:
        while True:
            if data:
                transport.sendall(data, timeout=10.0)
            if not transport.pending():
                poller.poll()
            data = transport.recv()
            if data == b"":
                break
    except OSError:
        transport.abort()
    else:
        transport.close()


def swallow(sink: _socket.socket, poll: Callable[[], Any]) -> None:
    poller = poll()
    poller.register(sink.fileno(), select.POLLIN)
    with contextlib.suppress(ConnectionResetError):
        while True:
            poller.poll()
            try:
                if not sink.recv(65536):
                    break
            except BlockingIOError:
                continue
    sink.close()
