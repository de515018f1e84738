"""
A WebSocket server in an asyncio loop, as ws4py had it; with an HTTP head of its own, and nothing else.

::

    import asyncio
    from ws4py_middleware.async_websocket import EchoWebSocket
    from ws4py_middleware.server.asyncioserver import WebSocketProtocol

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: WebSocketProtocol(EchoWebSocket), "", 9007)
        await server.serve_forever()

    asyncio.run(main())

Every connection is an opening handshake, or refused; to have a web application beside it, use an ASGI
server and :class:`ws4py_middleware.asgi.WebSocketASGI`. Handlers whose hooks are not ``async`` run in
threads. With ``ssl=`` asyncio speaks TLS; give it ``ssl_handshake_timeout``, whose default is a minute, or
use :func:`serve`, which does.

To end it well::

    server.close()
    await get_task_manager().shutdown_async()       # Close frames with 1001
"""

from __future__ import annotations

import asyncio
import http
import logging
from typing import Any
from urllib.parse import unquote

from ..admission import check_rate, find_claim
from ..asynctransport import AsyncioTransport, StreamProtocol, is_secure
from ..contexts import is_async
from ..core.handshake import Request, Upgrade, accept_request
from ..core.headers import build_head
from ..core.http11 import RequestHead
from ..exc import HandshakeError
from ..functions import handler_class
from ..opening import log_refusal
from ..process import get_task_manager
from ..routing import check_options
from ..scopes import build_environ
from ..tasks import TaskManager
from ..traces import trace_upgrade
from ..websocket import WebSocket

__all__ = ["WebSocketProtocol", "serve"]

logger = logging.getLogger("ws4py_middleware")

#: How long a client that is refused may go on talking, so that its bytes do not reset our answer; seconds.
_LINGER = 1.0

#: How long it has to be silent before TLS, which has no half, is closed; seconds.
_QUIET = 0.1


class WebSocketProtocol(StreamProtocol):
    """
    One connection: the opening handshake, and then the WebSocket.

    Args:
        handler_cls: A class, :class:`~ws4py_middleware.async_websocket.WebSocket` or any other
            WebSocket; or a function ``f(ws)``, ``async`` or not.
        manager: What runs the WebSocket; by default the manager of the loop.
        options: Settings of :class:`~ws4py_middleware.core.policy.Policy`, above the handler's own.

    Raises:
        TypeError: There is no such option, or the handler is none.
        ValueError: The value of an option is out of its range.
    """

    def __init__(self, handler_cls: Any, *, manager: TaskManager | None = None, **options: Any) -> None:
        self.handler_cls = handler_class(handler_cls)
        self.policy = self.handler_cls.policy
        if options:
            check_options(options, "manager")
            self.policy = self.policy.replace(**options)
        self.manager = manager
        #: The WebSocket; ``None`` until its opening handshake is done.
        self.ws: WebSocket | None = None
        #: The request that asked for it.
        self.request: Request | None = None
        self._head: RequestHead | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._quiet: asyncio.TimerHandle | None = None

    # --- what asyncio calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        super().connection_made(transport)
        if self.manager is None:  # one without connections is false
            self.manager = get_task_manager()
        self._head = RequestHead(self.policy, secure=is_secure(transport))
        if self.policy.open_timeout is not None:
            # TLS has had its own time before.
            timeout = self.policy.open_timeout / (2 if is_secure(transport) else 1)
            self._alarm = self.manager.loop.call_later(timeout, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Take a piece of the head, or of frames."""
        if self.stream is not None:
            self.stream.feed(data)
        elif self._head is not None:
            try:
                request = self._head.feed(data)
                if request is not None:
                    self._answer(request, self._head.rest)
            except HandshakeError as error:
                self._refuse(error)
            except Exception:
                logger.exception("%r could not be opened", self.handler_cls)
                self._refuse(HandshakeError("internal error", 500, [("Connection", "close")]))
        elif self._quiet is not None:
            # What a client that was refused still says is nobody's business, but to be waited for.
            self._close_when_quiet()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._head = None
        self._stop_alarm()
        self._stop_quiet()
        super().connection_lost(exc)

    # --- the opening handshake ---------------------------------------------------------------------

    def _answer(self, request: Request, early: bytes) -> None:
        self.request = request
        environ = self._build_environ(request)
        with trace_upgrade(environ, self.policy):
            self._open(request, environ, early)

    def _open(self, request: Request, environ: dict[str, Any], early: bytes) -> None:
        manager, transport = self.manager, self.transport
        assert manager is not None
        assert transport is not None
        upgrade = accept_request(request, self.policy)
        check_rate(environ, self.policy)
        manager.check_capacity(self.policy)
        claim = find_claim(environ, self.policy)
        if claim is not None:
            claim.check()
        websocket = self.handler_cls(
            sock=None,
            protocols=None if upgrade.subprotocol is None else [upgrade.subprotocol],
            extensions=list(upgrade.extensions),
            environ=environ,
        )
        if is_async(self.handler_cls):
            websocket.proto = self  # type: ignore[attr-defined]  # those have it
        head = upgrade.build_response()
        if claim is not None:
            claim.enter()
            websocket._claim = claim
        self._stop_alarm()
        self._head = None
        try:
            self._run(websocket, manager, AsyncioTransport(transport, manager), upgrade, head, early)
        except BaseException:
            if claim is not None:
                claim.leave()
            raise

    def _run(
        self,
        websocket: WebSocket,
        manager: TaskManager,
        stream: AsyncioTransport,
        upgrade: Upgrade,
        head: bytes,
        early: bytes,
    ) -> None:
        self.stream = stream
        stream.send(head)
        try:
            manager.attach(websocket, stream, upgrade=upgrade, policy=self.policy, early=early)
        except BaseException:
            stream.abort()
            raise
        self.ws = websocket
        stream.bind(websocket._ensure_link())

    def _build_environ(self, request: Request) -> dict[str, Any]:
        """Make the WSGI environ that handlers know, by way of ASGI's description of the same."""
        assert self.transport is not None
        path, _, query = request.target.partition("?")
        server = self.transport.get_extra_info("sockname")
        client = self.transport.get_extra_info("peername")
        environ = build_environ(
            {
                "http_version": request.http_version.partition("/")[2],
                "scheme": "wss" if request.secure else "ws",
                "path": unquote(path, errors="surrogateescape"),
                "query_string": query.encode("latin-1"),
                "headers": [
                    (name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers
                ],
                "server": server[:2] if isinstance(server, tuple) else (str(server or ""), None),
                "client": client[:2] if isinstance(client, tuple) else None,
            }
        )
        del environ["asgi.scope"]
        return environ

    def _refuse(self, error: HandshakeError) -> None:
        """Answer with why there is no WebSocket, and end the connection."""
        if self.stream is not None:
            return  # it was given away already
        self._head = None
        self._stop_alarm()
        transport, manager = self.transport, self.manager
        assert transport is not None
        assert manager is not None
        log_refusal(self.request or Request("", "", "", []), error)
        body = f"{error.msg}\n".encode()
        try:
            phrase = http.HTTPStatus(error.status).phrase
        except ValueError:
            phrase = "Refused"
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            *error.headers,
        ]
        if not any(name.lower() == "connection" for name, _ in headers):
            headers.append(("Connection", "close"))
        is_head = self.request is not None and self.request.method == "HEAD"
        transport.write(build_head(f"HTTP/1.1 {error.status} {phrase}", headers) + (b"" if is_head else body))
        # To close it on bytes that nobody has read would reset it, and that overtakes the answer.
        if transport.can_write_eof():
            transport.write_eof()
        else:
            self._close_when_quiet()
        self._alarm = manager.loop.call_later(_LINGER, transport.abort)

    def _give_up(self) -> None:
        """End a connection whose head has not come in time."""
        self._refuse(
            HandshakeError(
                f"no request within {self.policy.open_timeout:g} s", 408, [("Connection", "close")]
            )
        )

    def _close_when_quiet(self) -> None:
        assert self.transport is not None
        assert self.manager is not None
        self._stop_quiet()
        self._quiet = self.manager.loop.call_later(_QUIET, self.transport.close)

    def _stop_quiet(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


async def serve(
    handler_cls: Any,
    host: str | None = None,
    port: int | None = None,
    *,
    manager: TaskManager | None = None,
    ssl: Any = None,
    sock: Any = None,
    **options: Any,
) -> asyncio.Server:
    """
    Listen, and serve a handler to everybody who connects.

    Args:
        handler_cls: As for :class:`WebSocketProtocol`.
        host, port, ssl, sock: As for :meth:`asyncio.loop.create_server`.
        manager: What runs the WebSockets; by default the manager of the loop.
        options: Settings of :class:`~ws4py_middleware.core.policy.Policy`, above the handler's own.

    Returns:
        asyncio's server; ``close()`` ends the listening, and leaves the connections to the manager.
    """

    def make() -> WebSocketProtocol:
        return WebSocketProtocol(handler_cls, manager=manager, **options)

    timeout = make().policy.open_timeout  # what is wrong with the options shows here, and not at a request
    tls: dict[str, Any] = {}
    if ssl is not None:
        tls = {"ssl": ssl}
        if timeout is not None:
            tls["ssl_handshake_timeout"] = timeout / 2
    return await asyncio.get_running_loop().create_server(make, host, port, sock=sock, **tls)
