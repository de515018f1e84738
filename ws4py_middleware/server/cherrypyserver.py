"""
WebSockets in a CherryPy application, on its own server and on others, as ws4py had them.

::

    import cherrypy
    from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool
    from ws4py_middleware.websocket import EchoWebSocket

    cherrypy.config.update({"server.socket_port": 9000})
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = WebSocketTool()

    class Root:
        @cherrypy.expose
        def index(self):
            return "some HTML with a websocket javascript connection"

        @cherrypy.expose
        def ws(self):
            handler = cherrypy.request.ws_handler

    cherrypy.quickstart(Root(), "/", config={"/ws": {"tools.websocket.on": True,
                                                     "tools.websocket.handler_cls": EchoWebSocket}})

The tool checks the request before the page handler runs, and makes the ``handler_cls``; the page handler
decides. Its ``HTTPError`` or ``HTTPRedirect``, or that of any tool, is the answer in place of the 101,
and ends the HTTP connection. What it sets on ``cherrypy.request.ws_handler`` the handler finds in
``opened()``, and the parameters that it was called with are the handler's ``params``. Cookies and headers
of the response go out with the 101. Nothing can be sent before that: greet in ``opened()``.

Settings
========
``tools.websocket.`` and one of ``protocols``, ``extensions`` (``["permessage-deflate"]``), ``version``,
``handler_cls``, ``heartbeat_freq``, or of the settings of :class:`~ws4py_middleware.core.policy.Policy`,
such as ``max_message_size = "256 KiB"``. ``handler_cls`` is a class, a function ``f(ws, **params)``, or
``"module:Name"``. What is wrong there fails when the engine starts, or where that is not seen (decorators,
no plugin) at the first request, with a 500 and a line in the log.

The bus
=======
``websocket-broadcast`` (message, binary=False) sends to all. ``handle-websocket`` (handler, peer's address)
is the tool's word to the plugin that there is a new one. Without a plugin, the WebSockets are with the
manager of the process. ``engine.stop()`` ends them with 1001, ``restart()`` and so the autoreloader with
1012; ``graceful()`` ends those that there are with 1012, and waits for none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..extras import needs

with needs("cherrypy", "cherrypy", __name__):
    import cherrypy
    from cherrypy.process import plugins
    from cherrypy.process.wspbus import ChannelFailures

from ..admission import check_rate
from ..config import ConfigError
from ..core.handshake import accept_request
from ..core.types import WS_VERSION
from ..drain import GOING_AWAY, RESTART
from ..exc import HandshakeError
from ..functions import FunctionHandler
from ..handover import Taken, find
from ..handover.answers import refuses_hop_by_hop
from ..manager import WebSocketManager
from ..messaging import CloseControlMessage
from ..opening import Opening, build_request, hang_up, log_refusal, prepare
from ..process import ensure_running, get_manager, peek_manager, shut_down_at_exit
from ..registry import Registry
from ..routing import check_takes
from ..traces import UNTRACED, Trace, trace_upgrade
from ..websocket import WebSocket
from .cherrypyrequest import NotYet, find_params, get_status, make_environ
from .cherrypysettings import check_config, check_names, read_settings
from .wsgiutils import give_up

__all__ = ["WebSocketPlugin", "WebSocketTool"]

logger = logging.getLogger("ws4py_middleware")

#: The channel on which the tool asks the plugin for its manager.
_MANAGER = "websocket-manager"

#: How long a frame of a few bytes may take, while the engine stops; seconds.
_GOODBYE_TIMEOUT = 1.0

#: The operator is told of each mistake in the configuration once.
_told: set[str] = set()


@dataclasses.dataclass(slots=True)
class _State:
    """Where a request with the tool is."""

    environ: dict[str, Any]
    #: The page handler, before other tools have put theirs around it.
    page: Any
    opening: Opening | None = None
    #: Whether the 101 is sent; the connection is the server's no more.
    is_taken: bool = False
    #: Whether the client was still there.
    is_open: bool = False
    trace: Trace = UNTRACED


class _Refusal(cherrypy.HTTPError):  # type: ignore[misc, unused-ignore]  # its base has no types
    """The answer to an upgrade that is refused: a line of text, and whatever headers belong to it."""

    def __init__(self, error: HandshakeError, hop_by_hop: bool) -> None:
        super().__init__(error.status, error.msg)
        self.error = error
        self.hop_by_hop = hop_by_hop

    def set_response(self) -> None:
        """Make this the response; the error pages are for people."""
        response = cherrypy.serving.response
        response.status = self.status
        for name, value in self.error.headers:
            if self.hop_by_hop or name.lower() not in ("connection", "upgrade"):
                response.headers[name] = value
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
        response.headers.pop("Content-Length", None)
        response.body = (self.error.msg + "\n").encode()


class WebSocketTool(cherrypy.Tool):  # type: ignore[misc, unused-ignore]  # its base has no types
    """The opening handshake, for the paths where it is switched on; see this module's text."""

    def __init__(self) -> None:
        super().__init__("before_request_body", self.upgrade)

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """
        Switch the tool on for a page handler, as a decorator.

        Raises:
            ConfigError: There is no such setting, or its value makes no sense.
        """
        check_names(settings)
        # The module of a handler may be the one that is being imported.
        named = {name: value for name, value in settings.items() if name not in ("on", "priority")}
        if isinstance(named.get("handler_cls"), str):
            del named["handler_cls"]
        read_settings(named)
        return super().__call__(*args, **settings)

    def _setup(self) -> None:
        request = cherrypy.serving.request
        settings = self._merged_args()
        priority = settings.pop("priority", None)
        request.hooks.attach(
            self._point,
            self.callable,
            priority=self._priority if priority is None else priority,
            settings=settings,
        )
        # After all that may change the answer; and, on the server's side, whatever else fails there.
        request.hooks.attach("on_end_resource", self.cleanup_headers, priority=90)
        request.hooks.attach("on_end_resource", self.complete, priority=100)
        request.hooks.attach("on_end_request", self.start_handler, failsafe=True, priority=100)
        request.ws_state = state = _State(make_environ(request), request.handler)
        if not refuses_hop_by_hop(state.environ):
            # Any answer but the 101 ends the connection; the 101 is built without this.
            cherrypy.serving.response.headers["Connection"] = "close"

    def upgrade(
        self,
        protocols: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        version: int | Iterable[int] = WS_VERSION,
        handler_cls: Any = WebSocket,
        heartbeat_freq: float | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Check the request, and make the handler: ``cherrypy.request.ws_handler``.

        Args:
            protocols: The subprotocols that are spoken, best first.
            extensions: ``["permessage-deflate"]`` for compression.
            version: The versions of the protocol; 13 is the one that is spoken.
            handler_cls: A class, a function ``f(ws, **params)``, or ``"module:Name"``.
            heartbeat_freq: Seconds between two pings.
            settings: The same and those of a policy by name, in place of the arguments.

        Raises:
            cherrypy.HTTPError: The request is refused, or the settings are wrong (500).
        """
        request, response = cherrypy.serving.request, cherrypy.serving.response
        request.process_request_body = False
        if settings is None:
            settings = {
                "protocols": protocols,
                "extensions": extensions,
                "version": version,
                "handler_cls": handler_cls,
                "heartbeat_freq": heartbeat_freq,
            }
        state = request.ws_state
        try:
            found = read_settings(settings)
        except ConfigError as error:
            problem = str(ConfigError(error.file, error.key, f"{error.problem} (for {request.path_info})"))
            if str(error) not in _told:
                _told.add(str(error))
                cherrypy.log.error(problem, "WEBSOCKET", severity=40)
            raise cherrypy.HTTPError(500, "the configuration of this WebSocket is wrong") from None
        asked = build_request(state.environ)
        state.trace = trace_upgrade(state.environ, found.policy).__enter__()
        try:
            agreed = accept_request(asked, found.policy)
            check_rate(state.environ, found.policy)
            make = found.handler
            if found.heartbeat_freq is not None:
                # A partial is called as the class is.
                make = functools.partial(make, heartbeat_freq=found.heartbeat_freq)  # type: ignore[assignment]
            is_gevent = find(state.environ, None).is_gevent(state.environ, None)
            managers = cherrypy.engine.publish(_MANAGER, is_gevent)
            state.opening = prepare(
                state.environ, None, make, agreed, found.policy, {}, manager=next(iter(managers), None)
            )
        except HandshakeError as error:
            state.trace.refuse(error.status, error.msg)
            log_refusal(asked, error)
            raise _Refusal(error, not refuses_hop_by_hop(state.environ)) from None
        request.ws_handler = state.opening.websocket
        request.ws_handler.sock = NotYet(request)
        response.status = "101 Switching Protocols"

    def cleanup_headers(self) -> None:
        """Write ``Sec-WebSocket-`` as the RFC does; CherryPy has it as ``Sec-Websocket-``."""
        response = cherrypy.serving.response
        response.header_list = [
            (name.replace(b"Sec-Websocket-", b"Sec-WebSocket-"), value)
            for name, value in response.header_list or ()
        ]

    def complete(self) -> None:
        """Take the connection out of the server and send the 101, if that is still the answer."""
        request, response = cherrypy.serving.request, cherrypy.serving.response
        state = request.ws_state
        if state.opening is None or state.is_taken or not get_status(response).startswith(b"101"):
            return
        params = find_params(state.page, request.params)
        try:
            opening = dataclasses.replace(state.opening, params=params)
            _check_params(opening)
            headers = [
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.header_list
            ]
            state.is_open = opening.take(headers)
        except HandshakeError as error:
            state.trace.refuse(error.status, error.msg)
            log_refusal(build_request(state.environ), error)
            _Refusal(error, not refuses_hop_by_hop(state.environ)).set_response()
            response.finalize()
            return
        state.is_taken = True
        # The server writes to a dummy now; some refuse to write such headers at all.
        response.header_list = []

    def start_handler(self) -> None:
        """Give the handler to the plugin, which has ``opened()`` called; or end the refused connection."""
        request = cherrypy.serving.request
        state, request.ws_state = request.ws_state, None
        websocket = request.__dict__.pop("ws_handler", None)
        status = get_status(cherrypy.serving.response)
        with contextlib.ExitStack() as stack:
            stack.push(state.trace)
            if not state.is_taken and status:
                state.trace.refuse(int(status[:3]))
            self._start(state, websocket, is_answered=bool(status))

    def _start(self, state: Any, websocket: Any, *, is_answered: bool) -> None:
        request = cherrypy.serving.request
        if state.is_open:
            try:
                # The bus logs what its listeners raise.
                with contextlib.suppress(ChannelFailures):
                    cherrypy.engine.publish(
                        "handle-websocket", websocket, (request.remote.ip, request.remote.port)
                    )
            finally:
                if websocket._taken is not None:
                    state.opening.manager.add(websocket)
        elif not state.is_taken and is_answered:
            # Without one it is redirected inside, and answered by another request.
            hang_up(state.environ)


def _check_params(opening: Opening) -> None:
    """Refuse, as CherryPy does for its page handlers, parameters that a function does not take."""
    function = getattr(type(opening.websocket), "function", None)
    if isinstance(opening.websocket, FunctionHandler) and function is not None:
        try:
            check_takes(function, set(opening.params or ()))
        except TypeError:
            raise HandshakeError("these are not the parameters of this WebSocket", 404) from None


def _send_away(taken: Taken) -> None:
    """End a connection that has had its 101, and has no manager any more."""
    goodbye = CloseControlMessage(1001, "Server is shutting down").single()
    try:
        taken.transport.sendall(goodbye, _GOODBYE_TIMEOUT)
    except OSError as error:
        logger.debug("a client has left before the engine's stop: %s", error)
    taken.transport.close()
    taken.sink.close()


# --- the plugin ----------------------------------------------------------------------------------


def _at(priority: int) -> Callable[[Any], Any]:
    def mark(method: Any) -> Any:
        method.priority = priority
        return method

    return mark


class WebSocketPlugin(plugins.SimplePlugin):  # type: ignore[misc, unused-ignore]  # its base has no types
    """
    Run the WebSockets of the process, and end them with the engine.

    Args:
        bus: ``cherrypy.engine``.
        manager: What runs them, such as ``WebSocketManager(poller=SelectPoller())``; by default one of the
            plugin's own, and beside it the process' own one for sockets of gevent.
    """

    def __init__(self, bus: Any, manager: Registry | None = None) -> None:
        super().__init__(bus)
        self.manager: Any = WebSocketManager() if manager is None else manager
        self._is_given = manager is not None
        self._has_stopped = False
        self._is_registered = False

    def subscribe(self) -> None:
        """Listen to the bus; also where nobody starts the engine, as under gunicorn."""
        super().subscribe()
        self._listen()

    def unsubscribe(self) -> None:
        """Listen to the bus no more."""
        super().unsubscribe()
        for channel, listener in self._listeners().items():
            self.bus.unsubscribe(channel, listener)

    def _listeners(self) -> dict[str, Callable[..., Any]]:
        return {
            "handle-websocket": self.handle,
            "websocket-broadcast": self.broadcast,
            _MANAGER: self._choose_manager,
        }

    def _listen(self) -> None:
        for channel, listener in self._listeners().items():
            self.bus.subscribe(channel, listener)

    def start(self) -> None:
        """
        Check the settings of all applications, and take WebSockets; the thread starts with the first.

        Raises:
            ConfigError: A setting is wrong; the engine does not start.
        """
        check_config()
        self.bus.log("Starting WebSocket processing")
        self._listen()
        self._has_stopped = False
        for manager in self._managers():
            manager.closing = False

    def graceful(self) -> None:
        """End the WebSockets that there are with 1012; they may come back at once. Nobody is waited for."""
        for manager in self._managers():
            manager.begin_drain(*RESTART, refuse=False)

    @_at(10)  # before that of the server, which waits for its threads
    def stop(self) -> None:
        """End all WebSockets with 1001, or 1012 before a restart; new ones are refused from now on."""
        self.bus.log("Terminating WebSocket processing")
        self.cleanup()

    def cleanup(self) -> None:
        """Close all connections, wait a little for the answers, and end those that are left."""
        self._has_stopped = True
        ending = RESTART if self.bus.execv else GOING_AWAY
        for manager in self._managers():
            shutdown = functools.partial(manager.shutdown, None, *ending)
            if manager.may_wait():
                shutdown()
            else:
                # A hook of a WebSocket has stopped the engine; the closing handshakes need its thread. The
                # engine waits for this one before the process ends.
                manager.closing = True
                threading.Thread(target=shutdown, name="WebSocketPlugin").start()

    def handle(self, ws_handler: Any, peer_addr: Any) -> None:
        """
        Run a WebSocket until its end.

        Args:
            ws_handler: The handler.
            peer_addr: The peer's address, for those who listen on the same channel to know it.
        """
        taken = getattr(ws_handler, "_taken", None)
        if self._has_stopped and taken is not None:
            # Its request came before the engine's stop, and ends behind it.
            ws_handler._taken = None
            give_up(ws_handler)
            _send_away(taken)
            return
        manager = self._choose_manager(taken is not None and taken.transport.gevent)
        if not self._is_registered and manager is self.manager:
            self._is_registered = True
            shut_down_at_exit(manager)
        ensure_running(manager)
        manager.add(ws_handler)

    def broadcast(self, message: Any, binary: bool = False) -> None:
        """
        Send a message to all WebSockets of the process.

        Args:
            message: str, bytes, or a message.
            binary: Whether bytes are sent as a binary message.
        """
        for manager in self._managers():
            manager.broadcast(message, binary)

    def _managers(self) -> list[Any]:
        gevents = None if self._is_given else peek_manager(gevent=True)
        return [self.manager] if gevents is None else [self.manager, gevents]

    def _choose_manager(self, is_gevent: bool) -> Any:
        # Once the engine has stopped, gevent's might be a new one that knows nothing of it.
        if is_gevent and not self._is_given and not self._has_stopped:
            return get_manager(gevent=True)
        return self.manager
