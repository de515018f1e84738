"""
WebSocket routes for a WSGI application.

::

    from ws4py_middleware import WebSocket, WebSocketMiddleware

    class Chat(WebSocket):
        def opened(self):
            self.join(self.params["room"])

        def received_message(self, message):
            self.hub.publish(self.params["room"], message)

    app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/chat/<room>": Chat})

Put it outermost, so that nothing stands between it and the server's ``wsgi.input``. Under an
ASGI server, or one that keeps its socket to itself, the client gets a 501 that says what to do.

Routes
======
A route is a path as Flask and Werkzeug write it, ``"/chat/<room>"`` or ``"/n/<int:number>"``, and

* a subclass of ``WebSocket``, made anew for each connection; or
* a function ``f(ws, **params)``, which runs in a thread or greenlet of its own; or
* a :class:`Route`: one of these with settings of its own,
  ``Route(Upload, authorize=is_member, max_message_size=64 * 2**20)``.

A wrong route is an error when the middleware is made. What matches no route goes to the
application; so does a request for a route that is no upgrade, and where the application has
nothing but a 404 for it, the answer is 426 Upgrade Required.

Who may connect
===============
``authorize(environ, **params)`` is called once the request is a valid opening handshake, and returns

* ``None`` or ``True``: go on;
* ``False``: 403; ``(status, text)``: that, with one line of text;
* any response that is a WSGI application (Werkzeug's, Flask's, WebOb's) or Django's: that one, with its
  headers and its body. An ``HTTPException`` that it raises, as by Flask's ``abort()``, is such a response.

What it finds out, it may put into the environ, or leave to ``opened()``. Where the application itself
has to decide, with its logins, sessions and decorators, let one of its views *return* the upgrade::

    @app.get("/chat/<room>")
    @login_required
    def chat(room):
        return upgrade(Chat, room=room, user=current_user.id)

The upgrade happens when the application's final answer is that 101, so whatever replaces it, such as an
``after_request`` hook or Django's middleware, is a refusal. Headers of that answer, cookies above all, are
sent with the 101. See :func:`upgrade`.

Whatever refuses an upgrade also ends the HTTP connection: what follows on it might be frames.

How a view is found
===================
An upgrade on none of the routes is first shown to the application as a plain GET: without ``Upgrade``, and
without that token in ``Connection``. Werkzeug's router, and so Flask, tells WebSockets from other requests
by those two, and answers an upgrade on an ordinary rule with 400. Where a plain GET gets 400, 404 or 426, the
application is called once more with the request as it came: rules with ``websocket=True``, and other
WebSocket libraries beside this one, see what they wait for. The handshake itself is always checked
against the request as it came. A middleware in another one answers with its routes, as a view does.

Options
=======
All settings of :class:`~ws4py_middleware.core.policy.Policy`, for all routes: ``max_message_size``,
``origins``, ``subprotocols``, ``compression``, ``ping_interval`` and so on. A handler class may have a
``policy`` of its own, and a :class:`Route` has the last word. ``authorize`` and ``context`` (see
:mod:`ws4py_middleware.contexts`) are for the routes that have none of their own. ``manager`` runs the
connections in place of the process' own.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from werkzeug.exceptions import HTTPException

from .admission import check_rate
from .contexts import Context, in_context
from .core.handshake import Request, accept_request, is_upgrade
from .core.policy import Policy
from .exc import HandshakeError
from .functions import check_sync, handler_class
from .handover.answers import answer, answer_error, start_closing
from .opening import build_request, headers_of_101, prepare, refuse
from .registry import Registry
from .replies import Application, Environ, Reply, StartResponse, call_and_replace_404
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
    check_takes,
    merge_policy,
)
from .traces import Trace, trace_upgrade
from .websocket import WebSocket

__all__ = ["Route", "WebSocketMiddleware", "upgrade"]

#: What an application answers that has no page for a path, or only a WebSocket.
_NOT_FOUND = (400, 404, 426)


class _Call:
    """An upgrade that the application is asked about."""

    __slots__ = ("manager", "match", "middleware")

    def __init__(self, middleware: WebSocketMiddleware) -> None:
        self.middleware = middleware
        self.manager = middleware.manager
        #: What :func:`upgrade` has been given last.
        self.match: Match | None = None


#: The call that this thread or greenlet is in: about an upgrade, or (its environ) about anything else.
_current: ContextVar[_Call | Environ | None] = ContextVar("ws4py_middleware_call", default=None)


class WebSocketMiddleware:
    """
    A WSGI application that has WebSocket routes, and leaves everything else to the one it wraps.

    Args:
        app: The WSGI application, such as Flask's ``app.wsgi_app`` or Django's ``get_wsgi_application()``.
        routes: Path → handler class, function, or :class:`Route`; may be left out where the
            application's views return :func:`upgrade`.
        authorize: Who may connect to the routes that do not say so themselves; see this module's text.
        context: What handlers are called in whose routes do not say so themselves, such as Flask's
            ``app.app_context``.
        manager: What runs the connections; by default the manager of the process.
        options: Settings of :class:`~ws4py_middleware.core.policy.Policy`.

    Raises:
        TypeError: A route or an option is none, or of the wrong type; the message says which.
        ValueError: A path or the value of an option makes no sense; the message says which.
    """

    def __init__(
        self,
        app: Application,
        routes: Mapping[str, Handler | Route] | None = None,
        *,
        authorize: Authorize | None = None,
        context: Context | None = None,
        manager: Registry | None = None,
        **options: Any,
    ) -> None:
        if not callable(app):
            raise TypeError(f"app is {app!r}; it is a WSGI application such as Flask's app.wsgi_app")
        if manager is not None and not hasattr(manager, "check_capacity"):
            raise TypeError(f"manager is {manager!r}; it is a WebSocketManager")
        check_authorize(authorize)
        check_context(context)
        check_options(options, "authorize", "context", "manager", "routes")
        self.app = app
        self.context = context
        self.manager = manager
        self.policy = Policy(**options)
        routes = {} if routes is None else routes
        self.router = Router(routes, self.policy, authorize=authorize, context=context, adapt=_adapt)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        match = self.router.match(environ.get("PATH_INFO", ""))
        outer = _current.get()
        if match is not None and isinstance(outer, _Call):
            # Another middleware, around this one, has hidden the upgrade and asks whether there is one.
            outer.match, outer.manager = match, self.manager or outer.manager
            return _Upgrade(match, waits=True)(environ, start_response)
        if "HTTP_UPGRADE" in environ:
            request = build_request(environ)
            if is_upgrade(request):
                if match is None:
                    return self._ask(environ, start_response, request)
                return _open(match, environ, start_response, request, self.manager)
        token = _current.set(environ)
        try:
            if match is None:
                return self.app(environ, start_response)
            return self._call_beside(environ, start_response)
        finally:
            _current.reset(token)

    def _call_beside(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Let the application answer a plain request for one of the routes, if it has an answer."""

        def refuse(exc_info: Any) -> Iterable[bytes]:
            error = HandshakeError(
                "this is a WebSocket; it is asked for with the header Upgrade: websocket",
                426,
                [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
            )
            return answer_error(environ, start_response, error, exc_info)

        return call_and_replace_404(self.app, environ, start_response, refuse)

    def _ask(self, environ: Environ, start_response: StartResponse, request: Request) -> Iterable[bytes]:
        """Let the application say whether an upgrade is to happen; see "How a view is found"."""
        call = _Call(self)
        token = _current.set(call)
        try:
            reply = Reply(self.app, _hide_upgrade(environ))
            if reply.code in _NOT_FOUND:
                reply.keep()
                call.match = None
                second = Reply(self.app, environ)
                if second.code in _NOT_FOUND:
                    # The first is the application's own word on the matter.
                    second.close()
                else:
                    reply = second
        finally:
            _current.reset(token)
        if reply.code == 101:
            if call.match is None:
                return reply.send(start_response)  # somebody else's WebSocket
            # Before anything is taken, so that what fails here is still a 500.
            reply.close()
            return _open(call.match, environ, start_response, request, call.manager, reply.headers)
        return reply.send(functools.partial(start_closing, environ, start_response))


def _hide_upgrade(environ: Environ) -> Environ:
    hidden = {key: value for key, value in environ.items() if key not in ("HTTP_UPGRADE", "HTTP_CONNECTION")}
    tokens = [token.strip() for token in environ.get("HTTP_CONNECTION", "").split(",")]
    others = [token for token in tokens if token and token.lower() != "upgrade"]
    if others:
        hidden["HTTP_CONNECTION"] = ", ".join(others)
    return hidden


def _adapt(handler: Handler) -> tuple[type[WebSocket], Policy | None]:
    cls = handler_class(handler)
    check_sync(cls)
    # Only where the class, or one of its own, says something else.
    return cls, None if cls.policy is WebSocket.policy else cls.policy


def _open(
    match: Match,
    environ: Environ,
    start_response: StartResponse,
    request: Request,
    manager: Registry | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    """Open a connection, or answer with why not."""
    environ[ROUTE] = match.route
    try:
        with trace_upgrade(environ, match.policy) as trace:
            agreed = accept_request(request, match.policy, headers=headers_of_101(headers))
            check_rate(environ, match.policy)
            if match.authorize is not None:
                refusal = _authorize(match.authorize, environ, match.params)
                if refusal is not None and refusal is not True:
                    return _refuse(environ, start_response, refusal, trace)
            opening = prepare(
                environ, start_response, match.handler, agreed, match.policy, match.params, manager=manager
            )
            return opening.complete()
    except HandshakeError as error:
        return refuse(environ, start_response, request, error)


def _authorize(authorize: Authorize, environ: Environ, params: Mapping[str, Any]) -> Any:
    try:
        return authorize(environ, **params)
    except HTTPException as error:
        return error


def _refuse(environ: Environ, start_response: StartResponse, refusal: Any, trace: Trace) -> Iterable[bytes]:
    """Answer with what ``authorize`` returned."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        trace.refuse(int(status[:3]))
        return start_closing(environ, start_response, status, headers, exc_info)

    match refusal:
        case False:
            trace.refuse(403)
            return answer(environ, start_response, 403, "this connection is not allowed")
        case (int() as status, str() as text) if 300 <= status <= 599:
            trace.refuse(status, text)
            return answer(environ, start_response, status, text)
        case _ if callable(refusal):
            # Until its status is known, which it may say with its first piece only.
            return Reply(refusal, environ).send(start)
        case _ if hasattr(refusal, "status_code") and hasattr(refusal, "cookies"):
            # Django's, as its WSGIHandler sends it.
            cookies = [("Set-Cookie", cookie.OutputString()) for cookie in refusal.cookies.values()]
            start(f"{refusal.status_code} {refusal.reason_phrase}", [*refusal.items(), *cookies])
            django_body: Iterable[bytes] = refusal
            return django_body
        case _:
            raise TypeError(
                f"authorize returned {refusal!r}; it returns None or True, False, "
                "(status, text) with a status from 300 to 599, or a response"
            )


# --- views that return the upgrade ---------------------------------------------------------------


def upgrade(handler: Handler | Route, /, **params: Any) -> Any:
    """
    Make the answer of a view that wants its request to become a WebSocket.

    ::

        @app.get("/chat/<room>")
        @login_required
        def chat(room):
            return upgrade(Chat, room=room, user=current_user.id)

    In a Django view it is an ``HttpResponse``; elsewhere it is a WSGI application, which Flask's views may
    return, which ``request.get_response()`` of WebOb and Pyramid takes, and which is called with
    ``(environ, start_response)`` where there is no framework.

    The application has to be wrapped in :class:`WebSocketMiddleware`, whose options hold. Without it there
    are two places where the upgrade happens all the same, but at once, so that nothing can replace the
    answer any more, and without its cookies: in Flask with ``websocket=True`` on the rule, and where the
    WSGI application that this returns is called with the server's own environ.

    Args:
        handler: A handler class or a function, or a :class:`Route` for settings of its own:
            ``upgrade(Route(Chat, max_message_size=1024), room=room)``. The view has decided, so the
            middleware's ``authorize`` is not asked; a route's own is.
        params: What the handler finds in ``ws.params``; a function is called with.

    Raises:
        RuntimeError: The application is not wrapped, and nothing can be done without.
        TypeError: The handler is none, or does not take these parameters.
    """
    current = _current.get()
    middleware = current.middleware if isinstance(current, _Call) else None
    base = Policy() if middleware is None else middleware.policy
    route = handler if isinstance(handler, Route) else Route(handler)
    check_takes(route, set(params))
    context = route.context or (None if middleware is None else middleware.context)
    cls, own = _adapt(route.handler if context is None else in_context(route.handler, context))
    match = Match(cls, merge_policy(own or base, route, context), params, route.authorize)
    if isinstance(current, _Call):
        current.match = match
    response = _Upgrade(match, waits=isinstance(current, _Call))
    return _for_django(response, current) if _is_django() else response


class _Upgrade:
    """The WSGI application that :func:`upgrade` returns."""

    def __init__(self, match: Match, *, waits: bool) -> None:
        self.match = match
        #: Whether there is a middleware around that waits for the 101.
        self.waits = waits

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self.waits:
            start_response("101 Switching Protocols", [])
            return []
        # A plain request, which is refused; or nobody is around, and it happens here.
        return _open(self.match, environ, start_response, build_request(environ))


def _is_django() -> bool:
    flask = sys.modules.get("flask")
    if flask is not None and flask.has_request_context():
        return False
    django = sys.modules.get("django.conf")
    return django is not None and bool(django.settings.configured)


def _for_django(response: _Upgrade, current: _Call | Environ | None) -> Any:
    if current is None:
        raise RuntimeError(
            "upgrade() was called in an application that is not wrapped; in wsgi.py, write "
            "application = WebSocketMiddleware(get_wsgi_application())"
        )
    status, headers, body = 101, [], b""
    if not isinstance(current, _Call):

        def start_response(line: str, fields: list[tuple[str, str]], exc_info: Any = None) -> None:
            nonlocal status, headers
            status, headers = int(line[:3]), fields

        body = b"".join(response(current, start_response))
    return _django_class()(response, body, status=status, headers=dict(headers))


@functools.cache
def _django_class() -> Any:
    from django.http import HttpResponse

    class UpgradeResponse(HttpResponse):
        """What :func:`upgrade` returns to a Django view; a WSGI application, too."""

        def __init__(self, upgrade: _Upgrade, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._upgrade = upgrade

        def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            return self._upgrade(environ, start_response)

    return UpgradeResponse
