"""
Opening: from a request inside a WSGI server to a connection that the manager has.

This is what all entrances of WSGI servers share; it knows an environ and a ``start_response``,
and no application::

    request = build_request(environ)
    agreed = accept_request(request, policy)
    opening = prepare(environ, start_response, Chat, agreed, policy, params)
    ...
    return opening.complete()

Until :meth:`Opening.complete` everything may be refused, by a
:exc:`~ws4py_middleware.exc.HandshakeError` that is the answer, and nothing of the server has been touched.
"""

from __future__ import annotations

import _socket
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any
from urllib.parse import quote

from .admission import Claim, find_claim
from .core.handshake import Request, Upgrade
from .core.policy import Policy
from .exc import HandoverError, HandshakeError
from .handover import Adapter, Taken, Transport, clean_environ, find
from .handover.answers import answer_error, without_hop_by_hop
from .process import get_manager
from .registry import Registry
from .websocket import WebSocket

__all__ = [
    "MANAGER",
    "Opening",
    "build_request",
    "hang_up",
    "headers_of_101",
    "log_refusal",
    "prepare",
    "refuse",
]

logger = logging.getLogger("ws4py_middleware")

#: The key in the environ for the manager of a server that runs its WebSockets itself.
MANAGER = "ws4py_middleware.manager"

#: What the operator has been told of this server.
_told: set[str] = set()

#: How many refusals of one status are logged within a second; the access log has them all.
_LOGGED_REFUSALS = 10

#: By status: since when they are counted, and how many there were.
_refusals: dict[int, tuple[float, int]] = {}

#: How often what came behind a refused request is read before the connection is closed.
_LAST_READS = 16

#: How long the 101 may take when ``open_timeout`` is off; it fits into any socket's buffer.
_SEND_TIMEOUT = 10.0


def build_request(environ: Mapping[str, Any]) -> Request:
    """
    Make the request of a WSGI environ, as the one validator wants it.

    >>> build_request({"REQUEST_METHOD": "GET", "PATH_INFO": "/a b", "SERVER_PROTOCOL": "HTTP/1.1",
    ...     "CONTENT_LENGTH": "", "HTTP_HOST": "localhost", "HTTP_X_Y": "1"})
    Request(method='GET', target='/a%20b', http_version='HTTP/1.1',
    headers=[('HOST', 'localhost'), ('X-Y', '1')], secure=False)
    """
    headers = [
        (key[5:].replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_")
    ]
    # Servers say it by an empty value when there is none.
    headers += [
        (key.replace("_", "-"), environ[key])
        for key in ("CONTENT_LENGTH", "CONTENT_TYPE")
        if environ.get(key)
    ]
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".encode("latin-1")
    query = environ.get("QUERY_STRING", "")
    return Request(
        environ.get("REQUEST_METHOD", ""),
        f"{quote(path) or '/'}?{query}" if query else quote(path) or "/",
        environ.get("SERVER_PROTOCOL", ""),
        headers,
        secure=environ.get("wsgi.url_scheme") in ("https", "wss"),
    )


@dataclass(frozen=True, slots=True)
class Opening:
    """A connection that may be opened: all checks are done, the handler is made, nothing is taken yet."""

    environ: dict[str, Any]
    start_response: Any
    adapter: Adapter
    websocket: WebSocket
    upgrade: Upgrade
    policy: Policy
    params: Mapping[str, Any] | None
    manager: Registry
    #: What it counts for, where that is limited.
    claim: Claim | None = None

    def complete(self) -> Iterable[bytes]:
        """
        Take the connection out of the server, send the 101, and give the connection to the manager.

        Returns:
            What the application returns to the server.

        Raises:
            HandoverError: The server hides its socket; nothing was touched.
            HandshakeError: 429, the client has too many connections by now; nothing was touched.
            ValueError: A header of the 101 may not be sent; nothing was touched.
        """
        taken = self._take(())
        if taken is not None:
            self._attach(*taken)
        return self.adapter.finish(self.environ, self.start_response)

    def take(self, headers: Iterable[tuple[str, str]] = ()) -> bool:
        """
        Take the connection out of the server, and send the 101; the ``add()`` of a manager does the rest.

        For frameworks that have more to do between the two, and that tell the server themselves that the
        request is done.

        Args:
            headers: Those of the application's answer; what the handshake itself says is left out.

        Returns:
            Whether the client is still there; without it there is nothing to add.

        Raises:
            HandshakeError, ValueError: As for :meth:`complete`.
        """
        taken = self._take(headers_of_101(headers))
        if taken is None:
            return False
        websocket = self.websocket
        websocket._taken = taken
        websocket.sock = taken.transport.sock
        websocket.extensions = list(self.upgrade.extensions)
        websocket.policy = self.policy
        websocket.params = {} if self.params is None else self.params
        return True

    def _take(self, headers: Iterable[tuple[str, str]]) -> Taken | None:
        head = replace(self.upgrade, headers=[*self.upgrade.headers, *headers]).build_response()
        claim = self.claim
        if claim is None:
            return self._detach(head)
        claim.enter()
        taken = None
        try:
            taken = self._detach(head)
        finally:
            if taken is None:
                claim.leave()
        self.websocket._claim = claim
        return taken

    def _detach(self, head: bytes) -> Taken | None:
        taken = self.adapter.detach(self.environ, self.start_response)
        try:
            taken.transport.sendall(head, self.policy.open_timeout or _SEND_TIMEOUT)
        except OSError as error:
            # The client has gone in between, which happens, and is nobody's fault here.
            logger.info("the client left during the opening handshake: %s", error)
            taken.transport.abort()
            taken.sink.close()
            return None
        return taken

    def _attach(self, transport: Transport, early: bytes, sink: _socket.socket) -> None:
        try:
            self.manager.attach(
                self.websocket,
                transport,
                upgrade=self.upgrade,
                policy=self.policy,
                params=self.params,
                early=early,
                sink=sink,
            )
        except BaseException:
            if self.claim is not None:
                self.claim.leave()
            transport.abort()
            sink.close()
            raise


def prepare(
    environ: dict[str, Any],
    start_response: Any,
    handler: Callable[..., WebSocket],
    upgrade: Upgrade,
    policy: Policy,
    params: Mapping[str, Any] | None,
    *,
    manager: Registry | None = None,
) -> Opening:
    """
    Find out how the connection is taken and who has room for it, and make the handler.

    Args:
        environ: The request's own environ, not a copy of it.
        start_response: The server's, or that of other middleware; ``None`` where it is not known.
        handler: The class, or what makes an instance of it; what its constructor raises is not caught.
        upgrade: What :func:`~ws4py_middleware.core.handshake.accept_request` agreed on.
        policy: The limits of the connection.
        params: What the handler finds in ``params``; ``None`` leaves that to itself.
        manager: By default that of the server, if it has one, else the process' own, which is the one
            for gevent where the server is gevent's.

    Raises:
        HandoverError: 501, the server hides its socket.
        HandshakeError: 503, there is no room for another connection; 429, there is none for this client.
    """
    adapter = find(environ, start_response)
    is_gevent = adapter.is_gevent(environ, start_response)
    if manager is None or adapter.brings_manager:
        manager = environ.get(MANAGER, manager)
    if manager is None:
        manager = get_manager(is_gevent)
    manager.check_capacity(policy)
    claim = find_claim(environ, policy)
    if claim is not None:
        claim.check()
    websocket = handler(
        sock=None,
        protocols=None if upgrade.subprotocol is None else [upgrade.subprotocol],
        extensions=list(upgrade.extensions),
        environ=clean_environ(environ),
    )
    return Opening(environ, start_response, adapter, websocket, upgrade, policy, params, manager, claim)


def refuse(
    environ: dict[str, Any], start_response: Any, request: Request, error: HandshakeError
) -> Iterable[bytes]:
    """Answer with why there is no WebSocket, and see to the log; return what the application returns."""
    log_refusal(request, error)
    return answer_error(environ, start_response, error)


def log_refusal(request: Request, error: HandshakeError) -> None:
    """Log why there is no WebSocket, if that is not too often already."""
    if isinstance(error, HandoverError) and error.msg not in _told:
        # It is the server that was chosen wrongly, not the request: the operator has to know, once.
        _told.add(error.msg)
        logger.warning("no WebSockets here: %s", error)
    if _may_log(error.status):
        logger.info("refused the upgrade of %r: %s", request.target, error)


def headers_of_101(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out what is about a body, about this hop, or the handshake's own business."""
    return [
        (name, value)
        for name, value in without_hop_by_hop(headers)
        if not name.lower().startswith(("content-", "sec-websocket-"))
    ]


def hang_up(environ: dict[str, Any]) -> None:
    """
    End the HTTP connection of a request whose answer is written: what follows may be frames.

    For frameworks that do not let their applications say so. A server that hides its socket has only
    ``Connection: close`` to go by.
    """
    try:
        transport, _, sink = find(environ, None).detach(environ, None)
    except HandoverError as error:
        logger.debug("the connection of a refused upgrade is left to the server: %s", error)
        return
    sink.close()
    try:
        # Bytes that nobody has read would make a reset of the end, and that overtakes the answer.
        for _ in range(_LAST_READS):
            if not transport.recv():
                break
    except OSError as error:
        logger.debug("the client of a refused upgrade has left: %s", error)
    transport.close()


def _may_log(status: int) -> bool:
    """Tell whether a refusal is logged: what clients cause must not fill a disk."""
    if status == 503:
        return False  # the manager has said it, once for all
    began, count = _refusals.get(status, (0.0, 0))
    now = monotonic()
    if now - began >= 1.0:
        began, count = now, 0
    _refusals[status] = began, count + 1
    return count < _LOGGED_REFUSALS
