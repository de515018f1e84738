"""
A WSGI application that is one WebSocket, as ws4py had it.

::

    from wsgiref.simple_server import make_server
    from ws4py_middleware.websocket import EchoWebSocket
    from ws4py_middleware.server.wsgirefserver import WSGIServer, WebSocketWSGIRequestHandler
    from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication

    server = make_server("", 9000, server_class=WSGIServer,
                         handler_class=WebSocketWSGIRequestHandler,
                         app=WebSocketWSGIApplication(handler_cls=EchoWebSocket))
    server.serve_forever()

It also runs on each server that :class:`~ws4py_middleware.wsgi.WebSocketMiddleware` runs on, gunicorn among
them; that one is for applications that have more than this one WebSocket.

A server of one's own
=====================
A server that puts the client's socket into ``environ["ws4py.socket"]`` says by it that it gives the
connection away. It finds the answer as from any application, a 101 with its hop-by-hop headers and an
empty body, or a refusal; and

* looks for ``environ["ws4py.websocket"]`` when the application has returned; there is none when it refused;
* removes both keys;
* once the head of the 101 is sent, gives the WebSocket to a manager, ``manager.add(websocket)``;
* leaves the socket alone, and above all does not close it.

What it has read of the socket beyond the request is lost, so it does not read more than that.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from ..admission import check_rate, find_claim
from ..core.handshake import Upgrade, accept_request
from ..core.policy import DeflateOptions, Policy
from ..exc import HandshakeError
from ..functions import check_sync, handler_class
from ..handover import Taken, clean_environ, take
from ..opening import MANAGER, build_request, prepare, refuse
from ..registry import Registry
from ..routing import Handler, check_options
from ..traces import trace_upgrade
from ..websocket import WebSocket

__all__ = ["WebSocketWSGIApplication"]

SOCKET = "ws4py.socket"
WEBSOCKET = "ws4py.websocket"

_DEFLATE = "permessage-deflate"


class WebSocketWSGIApplication:
    """
    A WSGI application that answers each request with a WebSocket, or with why not.

    Args:
        protocols: The subprotocols that are spoken, best first; one of them is agreed on.
        extensions: ``["permessage-deflate"]`` for compression; there are no others.
        handler_cls: A handler class, or a function ``f(ws)``.
        manager: What runs the connections; by default the server's, or else that of the process.
            A server with ``environ["ws4py.socket"]`` has its own.
        options: Settings of :class:`~ws4py_middleware.core.policy.Policy`, in place of the class' own.

    Raises:
        TypeError: The handler or an option is none, or of the wrong type; the message says which.
        ValueError: The value of an option makes no sense, or an extension is not known.
    """

    def __init__(
        self,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[str] | None = None,
        handler_cls: Handler = WebSocket,
        *,
        manager: Registry | None = None,
        **options: Any,
    ) -> None:
        check_options(options, "extensions", "handler_cls", "manager", "protocols")
        self.protocols = protocols
        self.extensions = extensions
        self.handler_cls = handler_class(handler_cls)
        check_sync(self.handler_cls)
        self.manager = manager
        self.policy = make_policy(self.handler_cls.policy, protocols, extensions).replace(**options)

    def make_websocket(
        self,
        sock: Any,
        protocols: Sequence[str] | None,
        extensions: Sequence[Any] | None,
        environ: dict[str, Any],
    ) -> WebSocket:
        """
        Make the WebSocket of a request that is accepted, and put it into ``environ["ws4py.websocket"]``.

        Args:
            sock: The server's, if it gave one; ``None`` where the connection is taken later.
            protocols: The subprotocol that was agreed on, in a list; ``None`` without one.
            extensions: The extensions that were agreed on.
            environ: The request's; the WebSocket has a copy without what is the server's.
        """
        websocket: WebSocket = self.handler_cls(sock, protocols, extensions, clean_environ(environ))
        websocket.policy = self.policy
        environ[WEBSOCKET] = websocket
        return websocket

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = build_request(environ)
        try:
            with trace_upgrade(environ, self.policy) as trace:
                agreed = accept_request(request, self.policy)
                check_rate(environ, self.policy)
                if SOCKET in environ:
                    body = self._answer(environ, start_response, agreed)
                    trace.accept()  # the server gives it to its manager later
                    return body
                make = functools.partial(self._make, request_environ=environ)
                opening = prepare(
                    environ, start_response, make, agreed, self.policy, None, manager=self.manager
                )
                return opening.complete()
        except HandshakeError as error:
            return refuse(environ, start_response, request, error)

    def _answer(self, environ: dict[str, Any], start_response: Any, agreed: Upgrade) -> Iterable[bytes]:
        """Answer as a server expects it that gives its socket away."""
        manager = environ.get(MANAGER)
        if manager is not None:
            manager.check_capacity(self.policy)
        protocols = None if agreed.subprotocol is None else [agreed.subprotocol]
        claim = find_claim(environ, self.policy)
        if claim is not None:
            claim.check()
        # Before the 101, so that what the constructor raises is still a 500.
        websocket = self.make_websocket(environ[SOCKET], protocols, list(agreed.extensions), environ)
        if claim is not None:
            claim.enter()
            websocket._claim = claim
        start_response("101 Switching Protocols", list(agreed.headers))
        return []

    def _make(
        self, sock: Any, protocols: Any, extensions: Any, environ: Any, *, request_environ: dict[str, Any]
    ) -> WebSocket:
        return self.make_websocket(sock, protocols, extensions, request_environ)


def make_policy(policy: Policy, protocols: Sequence[str] | None, extensions: Sequence[str] | None) -> Policy:
    """
    Say in a policy what ws4py had arguments for.

    Raises:
        ValueError: An extension is not known.

    >>> make_policy(Policy(), ["chat"], ["permessage-deflate"]).subprotocols
    ['chat']
    """
    for name in extensions or ():
        if name != _DEFLATE:
            raise ValueError(f"the extension {name!r} is not known here; there is {_DEFLATE!r}")
    options: dict[str, Any] = {}
    if protocols is not None:
        options["subprotocols"] = protocols
    if extensions is not None:
        options["compression"] = (policy.deflate or DeflateOptions()) if extensions else False
    return policy.replace(**options)


def give_up(websocket: Any) -> None:
    """Let a WebSocket count for nobody whom no manager has been given after all."""
    if isinstance(websocket, WebSocket) and websocket._claim is not None and websocket._link is None:
        websocket._claim.leave()


def take_out(websocket: WebSocket, sock: Any, file: Any) -> None:
    """
    Take the connection of a WebSocket out of a server of ours, for the manager that will be given it.

    Args:
        websocket: What the application has put into the environ.
        sock: The server's socket; it is left with a dummy, and may do with it as it likes.
        file: The buffered file through which the server reads from it.

    Raises:
        TypeError: It is no WebSocket of this package.
        HandoverError: There is no descriptor left for the dummy.
    """
    if not isinstance(websocket, WebSocket):
        raise TypeError(f"environ[{WEBSOCKET!r}] is {websocket!r}; it is a ws4py_middleware WebSocket")
    transport, sink = take(sock)
    websocket.sock = transport.sock
    # The file reads from the dummy now: what it has is what the client sent behind its request.
    websocket._taken = Taken(transport, file.read() or b"", sink)
