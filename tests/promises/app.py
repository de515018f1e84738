"""
The application that the promises are tried on: WebSocket routes with the default policy, and plain HTTP.

``PROMISES_NOFILE`` lowers the limit of file descriptors of the worker; ``max`` raises it as far as it goes.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from ws4py_middleware import EchoWebSocket, WebSocket, WebSocketMiddleware, upgrade
from ws4py_middleware.figures import get_managers
from ws4py_middleware.messaging import Message
from ws4py_middleware.wsgi import Route


class Sink(WebSocket):
    """Take everything, and answer nothing but what is asked for: how many messages there were."""

    count = 0

    def received_message(self, message: Message) -> None:
        self.count += 1
        if message.data == b"count?":
            self.send(str(self.count))


class Size(WebSocket):
    """Answer with the length of each message."""

    def received_message(self, message: Message) -> None:
        self.send(str(len(message.data)))


class Subscriber(WebSocket):
    def opened(self) -> None:
        self.join(self.params["room"])


class Publisher(WebSocket):
    """Publish what comes, and answer how many it was queued for."""

    def received_message(self, message: Message) -> None:
        self.send(str(self.hub.publish(self.params["room"], message.data)))


class Broadcaster(WebSocket):
    """Send what comes to all there are, and answer how many it was queued for."""

    def received_message(self, message: Message) -> None:
        self.send(str(sum(manager.broadcast(message) for manager in get_managers())))


class Command(WebSocket):
    """Do as told; the state of the process is asked for on another connection."""

    def received_message(self, message: Message) -> None:
        command, _, argument = str(message).partition(" ")
        if command == "close":
            self.close(int(argument or 1000), "as you wish")
        elif command == "raise":
            raise ZeroDivisionError("asked for by the test")
        elif command == "exit":
            raise SystemExit(3)
        elif command == "flood":
            # Within a hook nobody waits: a peer that takes nothing is dropped at write_limit.
            for _ in range(int(argument)):
                self.send(b"x" * 65536, binary=True)
        elif command == "trim":
            # What is free goes back to the system, where the C library can be told so.
            gc.collect()
            getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
            self.send(str(sys.getallocatedblocks()))
        elif command == "fill":
            self.send(b"x" * int(argument), binary=True)


class Blocking(WebSocket):
    """Calls a database, as it were."""

    def received_message(self, message: Message) -> None:
        time.sleep(0.05)
        self.send(message)


class RaiseWhenOpened(WebSocket):
    def opened(self) -> None:
        raise ZeroDivisionError("asked for by the test")


class RaiseWhenClosed(EchoWebSocket):
    def closed(self, code: int, reason: str | None = None) -> None:
        raise ZeroDivisionError("asked for by the test")


def echo_function(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


def absent_function(ws: WebSocket) -> None:
    """Receive nothing for a while: what comes has to wait."""
    time.sleep(3)


def raise_function(ws: WebSocket) -> None:
    ws.receive()
    raise ZeroDivisionError("asked for by the test")


QUICK: dict[str, Any] = {
    "ping_interval": 0.5,
    "ping_timeout": 0.5,
    "write_timeout": 0.5,
    "close_timeout": 0.5,
}

ROUTES: dict[str, Any] = {
    "/echo": EchoWebSocket,
    # Its keepalive has a timer like any other's, and no ping comes while what silence costs is measured.
    "/silent": Route(EchoWebSocket, ping_interval=300),
    "/deflate": Route(EchoWebSocket, compression=True),
    "/deflate-sink": Route(Sink, compression=True),
    "/deflate-size": Route(Size, compression=True),
    "/deflate-function": Route(echo_function, compression=True),
    "/function": echo_function,
    "/absent": Route(absent_function, **QUICK),
    "/sink": Sink,
    "/size": Size,
    "/room/<room>": Subscriber,
    "/publish/<room>": Publisher,
    "/broadcast": Broadcaster,
    "/command": Command,
    "/blocking": Blocking,
    "/quick": Route(EchoWebSocket, **QUICK),
    "/quick-function": Route(echo_function, **QUICK),
    "/quick-command": Route(Command, **QUICK),
    "/idle": Route(EchoWebSocket, idle_timeout=0.5),
    "/raise-opened": RaiseWhenOpened,
    "/raise-closed": RaiseWhenClosed,
    "/raise-function": raise_function,
    "/protocols": Route(EchoWebSocket, subprotocols=["chat", "superchat"]),
}


class Talkative:
    """What a view returns that goes on talking HTTP after the upgrade."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        body = self.app(environ, start_response)
        if path == "/body/echo":
            return [*body, b"HTTP/1.1 200 OK\r\n\r\nstray bytes"]
        if path == "/fault/echo":
            raise ZeroDivisionError("asked for by the test, after the upgrade")
        return body


def site(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/view":
        upgraded: Iterable[bytes] = upgrade(EchoWebSocket)(environ, start_response)
        return upgraded
    if path.startswith("/cookie/"):
        # What an application might do with a value that somebody else chose.
        value = environ["QUERY_STRING"].replace("CR", "\r").replace("LF", "\n").replace("NUL", "\0")
        ask = upgrade(EchoWebSocket)

        def start_with_cookie(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("Set-Cookie", value)])

        answer: Iterable[bytes] = ask(environ, start_with_cookie)
        return answer
    found = path in ("/", "/hidden")
    body = b"hello" if found else b"there is nothing here"
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK" if found else "404 Not Found", headers)
    return [body]


def _limit_descriptors(wanted: str | None) -> None:
    if wanted:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if wanted == "max" else int(wanted), hard))


logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
_limit_descriptors(os.environ.get("PROMISES_NOFILE"))
routes = {**ROUTES, "/body/echo": EchoWebSocket, "/fault/echo": EchoWebSocket}
app = Talkative(WebSocketMiddleware(site, routes))
