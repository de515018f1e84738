"""
A CherryPy application with a page for each thing that the tests ask for.

``PLUGIN`` in the environment says who runs the WebSockets: ``own``, a manager with a poller of one's own;
``default``, a plugin that nobody starts, as under gunicorn; or nothing, where the launcher has a plugin.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import cherrypy

from ws4py_middleware import EchoWebSocket, WebSocket
from ws4py_middleware.manager import SelectPoller, WebSocketManager
from ws4py_middleware.messaging import Message
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool

cherrypy.tools.websocket = WebSocketTool()

match os.environ.get("PLUGIN"):
    case "own":
        WebSocketPlugin(cherrypy.engine, WebSocketManager(poller=SelectPoller())).subscribe()
    case "default":
        for _plugin in range(int(os.environ.get("PLUGINS", "1"))):
            WebSocketPlugin(cherrypy.engine).subscribe()

#: What ``handle-websocket`` told: (the handler's class, the peer's address).
told: list[Any] = []
cherrypy.engine.subscribe("handle-websocket", lambda ws, peer: told.append([type(ws).__name__, peer]))

#: Threads that are told to stop and start the engine, one at a time.
_cycles = threading.Lock()


def _afterwards(function: Callable[[], None]) -> None:
    """Call a function in a thread of its own, once the answer is written."""
    cherrypy.serving.request.hooks.attach("on_end_request", threading.Thread(target=function).start)


class Telling(WebSocket):
    """Says what it was made with, and then echoes."""

    name = "nobody"

    def opened(self) -> None:
        policy = self.policy
        self.send(
            json.dumps(
                {
                    "name": self.name,
                    "params": dict(self.params),
                    "path": self.environ["PATH_INFO"],
                    "heartbeat": self.heartbeat_freq,
                    "subprotocol": self.subprotocol,
                    "extensions": len(self.extensions or ()),
                    "size": policy.max_message_size,
                    "queue": policy.queue_policy,
                }
            )
        )

    def received_message(self, message: Message) -> None:
        self.send(message)


def echo(ws: WebSocket, room: str) -> None:
    ws.send(room)
    for message in ws:
        ws.send(message)


class Stopping(WebSocket):
    def received_message(self, message: Message) -> None:
        cherrypy.engine.exit()


class Root:
    _waiting = 0

    @cherrypy.expose
    def index(self) -> bytes:
        return b"hello"

    @cherrypy.expose
    def told(self) -> bytes:
        return json.dumps(told).encode()

    @cherrypy.expose
    def shout(self, text: str) -> bytes:
        cherrypy.engine.publish("websocket-broadcast", text)
        cherrypy.engine.publish("websocket-broadcast", b"\x01", binary=True)
        return b"done"

    @cherrypy.expose
    def cycle(self) -> bytes:
        """Stop the engine, and start it again, behind this answer."""

        def run() -> None:
            with _cycles:
                cherrypy.engine.stop()
                cherrypy.engine.start()

        _afterwards(run)
        return b"soon"

    @cherrypy.expose
    def restart(self) -> bytes:
        _afterwards(cherrypy.engine.restart)
        return b"soon"

    @cherrypy.expose
    def graceful(self) -> bytes:
        cherrypy.engine.graceful()
        return b"done"

    @cherrypy.expose
    def pid(self) -> bytes:
        return f"{os.getpid()}".encode()

    @cherrypy.expose
    def ws(self, room: str = "", **others: str) -> None:
        handler = cherrypy.request.ws_handler
        handler.name = f"{handler.peer_address[0]} {handler.local_address[0]}"
        cherrypy.response.cookie["seen"] = "yes"
        cherrypy.response.headers["X-Page"] = "ws"

    @cherrypy.expose
    def login(self) -> bytes:
        cherrypy.session["name"] = "Ada"
        return b"welcome"

    @cherrypy.expose
    def members(self) -> None:
        name = cherrypy.session.get("name")
        if name is None:
            raise cherrypy.HTTPError(401, "who are you?")
        cherrypy.request.ws_handler.name = name
        cherrypy.session["seen"] = True

    @cherrypy.expose
    def secret(self) -> None:
        cherrypy.request.ws_handler.name = cherrypy.request.login

    @cherrypy.expose
    def refuse(self, how: str) -> Any:
        match how:
            case "redirect":
                raise cherrypy.HTTPRedirect("/login")
            case "status":
                cherrypy.response.status = 409
                return b"not now"
            case "inside":
                raise cherrypy.InternalRedirect("/ws", "room=inside")
            case "send":
                cherrypy.request.ws_handler.send("too early")
            case "crash":
                raise ZeroDivisionError("on purpose")
        return b"a body that nobody sees"

    @cherrypy.expose
    def room(self, room: str) -> None:
        pass

    @cherrypy.expose
    @cherrypy.tools.websocket(handler_cls="ws4py_middleware:EchoWebSocket", max_message_size="1 KiB")
    def decorated(self) -> None:
        pass

    @cherrypy.expose
    def full(self) -> None:
        pass

    @cherrypy.expose
    def stopping(self) -> None:
        pass

    @cherrypy.expose
    def slow(self) -> None:
        """Wait until the engine stops."""
        self._waiting = 1
        cherrypy.engine.wait(cherrypy.engine.states.STOPPING, 0.01)

    @cherrypy.expose
    def waiting(self) -> bytes:
        return f"{self._waiting}".encode()

    @cherrypy.expose
    def broken(self) -> None:
        pass


def _on(handler: Any, **settings: Any) -> dict[str, Any]:
    named = {f"tools.websocket.{name}": value for name, value in settings.items()}
    return {"tools.websocket.on": True, "tools.websocket.handler_cls": handler, **named}


def _check(realm: str, user: str, password: str) -> bool:
    return (user, password) == ("ada", "secret")


CONFIG = {
    "/": {"tools.sessions.on": True},
    "/ws": _on(
        Telling,
        protocols=["chat.v2", "chat.v1"],
        extensions=["permessage-deflate"],
        version=(8, 13),
        heartbeat_freq=3,
        max_message_size="256 KiB",
        queue_policy="disconnect",
        origins=["https://example.com"],
    ),
    "/members": _on(Telling),
    "/secret": {
        "tools.auth_basic.on": True,
        "tools.auth_basic.realm": "here",
        "tools.auth_basic.checkpassword": _check,
        **_on("tests.entrances.cherrypy_app:Telling"),
    },
    "/refuse": _on(EchoWebSocket),
    "/room": _on(echo),
    "/stopping": _on(Stopping),
    "/slow": _on(EchoWebSocket),
    "/full": _on(EchoWebSocket, max_connections=1),
}

app = cherrypy.Application(Root(), "", CONFIG)

if wrong := os.environ.get("WRONG"):
    # "name=value": a mistake in the configuration of one path.
    name, _, value = wrong.partition("=")
    app.merge({"/broken": {**_on(EchoWebSocket), f"tools.websocket.{name}": value}})
