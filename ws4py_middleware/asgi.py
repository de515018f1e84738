"""
WebSocket routes for an ASGI application, or for none.

::

    from ws4py_middleware import WebSocket, WebSocketASGI

    class Chat(WebSocket):
        def opened(self):
            self.join(self.params["room"])

        def received_message(self, message):
            self.hub.publish(self.params["room"], message)

    app = WebSocketASGI(FastAPI(), {"/chat/<room>": Chat})

The handlers are those of :mod:`ws4py_middleware.wsgi`, unchanged, and so are routes, options and
``authorize``. WebSockets on a route are served here; all else goes to the application as it came: other
WebSockets, HTTP, and ``lifespan``. Without an application it answers ``lifespan`` itself, HTTP with 404 (426
on the path of a route), and refuses other WebSockets; for Django's, which knows HTTP only, it answers the
other two. It may be mounted, as by Starlette's ``Mount``.

Handlers
========
* A class whose hooks are plain functions: they run in a pool of threads, those of one connection one
  after the other, so that one that is slow holds up its own client only.
* An ``AsyncWebSocket``, whose hooks may be ``async def``: on the loop.
* ``async def echo(ws, **params)``: a task on the loop. ``def echo(ws, **params)``: a thread.

``send()`` may be called from any thread and any task. ``ws.environ`` is like WSGI's; the scope is
``ws.environ["asgi.scope"]``.

Who may connect, under ASGI
===========================
``authorize(scope, **params)`` may be plain, and is called in a thread, or ``async``. It returns what it does
under WSGI, or a response of Starlette or FastAPI; or raises their ``HTTPException``, or Werkzeug's. Servers
with the extension ``websocket.http.response`` send that response, the others a plain 403.

What the server does
====================
Frames, pings and compression are the server's own, and so are their options: ``ping_interval``,
``ping_timeout``, ``compression``, ``max_frame_size``, ``max_fragments``, ``max_control_frames``,
``open_timeout`` and the limits of a request's head do nothing here, ``ws.ping()`` neither. All else is as
under WSGI: the limits of messages and queues, ``write_timeout``, ``close_timeout``, ``idle_timeout``.
``docs/howto/asgi.md`` has the servers, one by one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async

from .admission import Claim, check_rate, find_claim
from .contexts import Context, is_async
from .core.handshake import Upgrade, accept_request
from .core.policy import Policy
from .core.types import CloseCode
from .denials import answer, can_answer, deny, is_response_error
from .endings import notice_receiver, watch
from .exc import HandshakeError
from .exchanges import Exchange, Receive, Scope, Send
from .functions import handler_class
from .opening import log_refusal
from .process import get_task_manager, tell_end
from .routing import (
    ROUTE,
    Authorize,
    Handler,
    Match,
    Route,
    Router,
    check_authorize,
    check_context,
    check_options,
)
from .scopes import build_environ, build_request, get_path
from .shutdowns import chain_signals
from .tasks import TaskManager, make_number
from .traces import Trace, trace_upgrade
from .websocket import WebSocket

__all__ = ["Route", "WebSocketASGI"]

logger = logging.getLogger("ws4py_middleware")

Application = Callable[[Any, Any, Any], Awaitable[None]]

#: What raises where it is asked for anything but HTTP.
_DJANGO = "django.core.handlers.asgi.ASGIHandler"

_GOING_AWAY = 1001, "Server is shutting down"

#: What will not be so for long. A 403 in place of these would be for good, to any client.
_LATER = (429, 503)

#: How long a server that has cancelled a connection is kept waiting for its end; seconds.
_CANCEL_TIME = 1.0


class WebSocketASGI:
    """
    An ASGI application that has WebSocket routes, and leaves everything else to the one it wraps.

    Args:
        app: The ASGI application, such as ``FastAPI()`` or Django's ``get_asgi_application()``, or none.
        routes: Path → handler class, function, or :class:`Route`.
        authorize: Who may connect to the routes that do not say so themselves; see this module's text.
        context: What handlers are called in whose routes do not say so themselves.
        manager: What runs the connections; by default the manager of the running loop.
        max_threads: How many hooks that are not ``async`` may run at once in the loop, by default 32; a
            ``manager`` has its own ``max_threads``.
        signals: Whether SIGTERM and SIGINT close the connections, before the server hears of them; see
            :mod:`ws4py_middleware.shutdowns`.
        options: Settings of :class:`~ws4py_middleware.core.policy.Policy`.

    Raises:
        TypeError: A route or an option is none, or of the wrong type; the message says which.
        ValueError: A path or the value of an option makes no sense; the message says which.
    """

    def __init__(
        self,
        app: Application | None = None,
        routes: Mapping[str, Handler | Route] | None = None,
        *,
        authorize: Authorize | None = None,
        context: Context | None = None,
        manager: TaskManager | None = None,
        max_threads: int | None = None,
        signals: bool = True,
        **options: Any,
    ) -> None:
        _check_app(app)
        if manager is not None and not isinstance(manager, TaskManager):
            raise TypeError(f"manager is {manager!r}; it is a TaskManager")
        if max_threads is not None and (manager is not None or max_threads < 1):
            raise ValueError(
                f"max_threads is {max_threads}; it is 1 or more, and with a manager it is that manager's: "
                "TaskManager(max_threads=...)"
            )
        check_authorize(authorize)
        check_context(context)
        check_options(options, "authorize", "context", "manager", "max_threads", "routes", "signals")
        self.app = app
        self.manager = manager
        self.max_threads = max_threads
        self.signals = signals
        self.policy = Policy(**options)
        routes = {} if routes is None else routes
        self.router = Router(routes, self.policy, authorize=authorize, context=context, adapt=_adapt)
        self._is_http_only = any(f"{cls.__module__}.{cls.__name__}" == _DJANGO for cls in type(app).__mro__)
        self._used: TaskManager | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
            return
        match = self.router.match(get_path(scope)) if kind in ("websocket", "http") else None
        if kind == "websocket" and match is not None:
            await self._serve(match, scope, receive, send)
        elif self.app is not None and (kind != "websocket" or not self._is_http_only):
            await self.app(scope, receive, send)
        elif kind == "websocket":
            await receive()
            await answer(scope, send, 404, "there is no WebSocket here")
        elif kind == "http":
            await _answer_http(scope, send, match)

    # --- one connection ----------------------------------------------------------------------

    async def _serve(self, match: Match, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return  # the client has left before
        request, environ = build_request(scope), build_environ(scope)
        environ[ROUTE] = match.route
        with trace_upgrade(environ, match.policy) as trace:
            try:
                agreed = accept_request(request, match.policy)
                check_rate(environ, match.policy)
                refusal = await _authorize(match, scope)
                if refusal is not None and refusal is not True:
                    await deny(scope, receive, _tracing(send, trace), refusal)
                    return
                manager = self._get_manager(receive)
                manager.check_capacity(match.policy)
                claim = await _find_claim(environ, match.policy)
                if claim is not None:
                    claim.enter()
            except HandshakeError as error:
                trace.refuse(error.status, error.msg)
                log_refusal(request, error)
                await _refuse(scope, receive, send, error)
                return
            exchange = Exchange(scope, receive, send, make_number())
            try:
                await self._accept(match, agreed, environ, manager, exchange)
            finally:
                if claim is not None:
                    claim.leave()

    async def _accept(
        self,
        match: Match,
        agreed: Upgrade,
        environ: dict[str, Any],
        manager: TaskManager,
        exchange: Exchange,
    ) -> None:
        """Make the handler, accept the connection, and run it."""
        websocket = match.handler(
            sock=None,
            protocols=None if agreed.subprotocol is None else [agreed.subprotocol],
            extensions=[],
            environ=environ,
        )
        try:
            await exchange.accept(agreed.subprotocol)
        except (OSError, RuntimeError):
            # Each server has its own error for a client that has left meanwhile.
            logger.debug("the server could not accept %r", websocket, exc_info=True)
            return
        await self._run(websocket, match, agreed, manager, exchange)

    async def _run(
        self, websocket: WebSocket, match: Match, agreed: Upgrade, manager: TaskManager, exchange: Exchange
    ) -> None:
        """Let the manager have the connection, and return when it has ended."""
        relay = manager.make_relay(match.policy)
        manager.attach(
            websocket, exchange, upgrade=agreed, policy=match.policy, params=match.params, conn=relay
        )
        link = websocket._ensure_link()
        exchange.start(
            partial(manager.readable, link), partial(manager.writable, link), manager.get_taker(link)
        )
        try:
            await manager.wait_released(websocket)
        except asyncio.CancelledError:
            # The server waits no longer, and yet lets us speak, if we are quick.
            link.close(*_GOING_AWAY)
            await _within(_CANCEL_TIME, exchange.drain(lambda: not relay.queued))
            exchange.end()
            await _within(_CANCEL_TIME, manager.wait_released(websocket))
            raise
        finally:
            task = manager.task_of(websocket)
            if task is not None:
                # A hook that still runs, or a server that was not patient at all: nobody else ends it.
                task.cancel()
            await exchange.stop()

    def _get_manager(self, receive: Receive) -> TaskManager:
        manager = get_task_manager() if self.manager is None else self.manager
        if manager is not self._used:
            self._used = manager
            if notice_receiver(receive):
                watch(manager)
            if self.max_threads is not None:
                manager.max_threads = self.max_threads
            if self.signals and manager.hears_signals:
                chain_signals(manager)
        return manager

    # --- the process ---------------------------------------------------------------------------

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take part in the server's beginning and end, or let the application do so."""

        async def receive_and_close() -> Any:
            message = await receive()
            if message["type"] == "lifespan.startup":
                # In a loop in which another application has ended, or this one, before.
                manager = get_task_manager() if self.manager is None else self.manager
                manager.closing = False
            elif message["type"] == "lifespan.shutdown":
                if self._used is not None:
                    # Most servers have ended the connections before they say so; where not, it is time.
                    await self._used.shutdown_async()
                tell_end()
            return message

        if self.app is not None and not self._is_http_only:
            await self.app(scope, receive_and_close, send)
            return
        kind = ""
        while kind != "lifespan.shutdown":
            kind = (await receive_and_close())["type"]
            await send({"type": f"{kind}.complete"})


def _check_app(app: object) -> None:
    if app is not None and not callable(app):
        hint = "; the routes are the second argument" if isinstance(app, Mapping) else ""
        raise TypeError(f"app is {app!r}; it is an ASGI application such as FastAPI(), or None{hint}")


def _adapt(handler: Handler) -> tuple[type[WebSocket], Policy | None]:
    cls = handler_class(handler)
    # Only where the class, or one of its own, says something else.
    return cls, None if cls.policy is WebSocket.policy else cls.policy


async def _authorize(match: Match, scope: Scope) -> Any:
    authorize = match.authorize
    if authorize is None:
        return None
    if not is_async(authorize):
        authorize = sync_to_async(authorize, thread_sensitive=False)
    try:
        return await authorize(scope, **match.params)
    except HandshakeError:
        raise
    except Exception as error:
        if is_response_error(error):
            return error
        raise


def _tracing(send: Send, trace: Trace) -> Send:
    """Let a trace know of the status of a refusal."""

    async def send_and_note(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "websocket.http.response.start":
            trace.refuse(message["status"])
        elif message["type"] == "websocket.close":
            trace.refuse(403)
        await send(message)

    return send_and_note


async def _refuse(scope: Scope, receive: Receive, send: Send, error: HandshakeError) -> None:
    """Refuse an opening handshake, so that the client knows whether to try again."""
    if error.status not in _LATER or can_answer(scope):
        await answer(scope, send, error.status, error.msg, error.headers)
        return
    try:
        await Exchange(scope, receive, send, make_number()).turn_away(CloseCode.TRY_AGAIN_LATER, error.msg)
    except (OSError, RuntimeError):
        logger.debug("the server could not turn a client away", exc_info=True)


async def _find_claim(environ: dict[str, Any], policy: Policy) -> Claim | None:
    """Find out whom a connection would count for; in a thread, where that asks the application."""
    if policy.connection_key is None:
        return find_claim(environ, policy)
    return await sync_to_async(find_claim, thread_sensitive=False)(environ, policy)


async def _within(timeout: float, awaitable: Awaitable[None]) -> None:
    """Await something for so long at most, and go on in any case."""
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait([task], timeout=timeout)
    finally:
        task.cancel()


async def _answer_http(scope: Scope, send: Send, match: Match | None) -> None:
    if match is None:
        await answer(scope, send, 404, "there is nothing here")
        return
    headers = [("Sec-WebSocket-Version", "13")]
    await answer(
        scope, send, 426, "this is a WebSocket; it is asked for with the header Upgrade: websocket", headers
    )
