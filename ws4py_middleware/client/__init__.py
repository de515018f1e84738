"""
Clients: the same WebSocket as the servers', seen from the other end.

::

    from ws4py_middleware.client import WebSocketBaseClient

    with WebSocketBaseClient("wss://example.com/chat", protocols=["chat"]) as client:
        client.send("hello")
        for message in client:
            print(message)

:class:`WebSocketBaseClient` starts no thread: it runs in its caller's, while that waits for
something; or in a :class:`~ws4py_middleware.manager.WebSocketManager`, with thousands of others.

=============  =====================================================================
``base``       what every client has, and the opening as a conversation
``steps``      what that conversation is made of
``urls``       what a URL says
``redirects``  what each server on the way is asked, and where that is
``proxies``    which proxy is on the way, if any
``tunnels``    through it
``socks``      the same in SOCKS5
``answers``    what it says to that
``tls``        whom to believe
``dialing``    the driver of the conversation that blocks
``pump``       the loop of a client that no manager has
``backoff``    after what to connect again, and when
``away``       what is to be done until then, and what is to be sent
``replaying``  what was missed meanwhile, where the server keeps it
``returning``  who does that, where it blocks; ``dialers`` for managers' clients
=============  =====================================================================
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import nullcontext
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar

from ..core.connection import Connection
from ..core.types import Buffer
from ..direct import SourceTransport
from ..exc import find_leaving_code
from ..handover import from_socket
from ..link import Link, TransportLike
from ..messaging import Message
from ..websocket import WebSocket
from .backoff import Backoff
from .base import ClientBase
from .dialing import Deadline, drive
from .pump import Pump
from .returning import BlockingReconnecting, ThreadReconnecting

__all__ = ["Backoff", "WebSocketBaseClient", "socket"]

_Client = TypeVar("_Client", bound="WebSocketBaseClient")


class WebSocketBaseClient(ClientBase):
    """
    A WebSocket that connects to a server.

    Nothing is looked up and nothing opened before :meth:`connect`, which may be called again
    when the connection has ended. The hooks are called in the thread of whoever waits:
    in :meth:`run`, :meth:`once`, :meth:`receive`, :meth:`send`; or in that of the manager
    that the client was added to.

    The arguments, and what can be wrong with them, are those of :class:`.base.ClientBase`.
    """

    _pump: Pump | None = None
    _reconnecting: BlockingReconnecting | None

    # --- connecting ----------------------------------------------------------------------------

    def connect(self) -> None:
        """
        Connect, and make the opening handshake; all of it within ``policy.open_timeout``.

        When the last connection is being closed, its end is waited for.

        Raises:
            HandshakeError: The server, or a proxy, refuses: ``status``, ``headers`` and ``body`` are its
                answer's. Or it is no server of WebSockets, or went away; then the ``status`` may be 0.
            OSError: There is no connection: the name is not known, nobody listens, the certificate is
                not the server's (:exc:`ssl.SSLCertVerificationError`), ...
            TimeoutError: It took too long; the message says what.
            RuntimeError: It is connected, or about to be, in another thread or by :meth:`closed`.
            ValueError: The environment names a proxy that is none.
            ImportError: The proxy is one of SOCKS, and socksio is not installed.
        """
        last = self._end_last()
        if self._reconnecting is not None:
            self._forget_last()
            self._reconnecting.connect()
            return
        with self._only_one():
            if self._link is not last:
                raise RuntimeError("it is connected already; close() it first")
            self._forget_last()
            link = self._attach(*self._open(Deadline(self.policy.open_timeout)))
        self._announce(link)

    def _begin(self, sock: Any, early: bytes) -> Link:
        """Go on with a connection, and what came behind the 101."""
        assert self._reconnecting is not None
        try:
            link = self._attach(sock, early)
            self._announce(link)
        except BaseException:
            self._reconnecting.missed()
            raise
        return link

    def _attach(self, sock: Any, early: bytes) -> Link:
        self.sock = sock
        try:
            return self._make_link(sock, early)
        except BaseException:
            self.sock = None
            sock.close()
            raise

    def _announce(self, link: Link) -> None:
        try:
            self.handshake_ok()
        except BaseException:
            link.drop()
            raise
        if link.loop is self._pump and type(self).received_message is WebSocket.received_message:
            # Whoever asks for messages gets them all, from the first one on.
            link.expect_receive()
        self._drain()  # what opened() has sent

    def _make_reconnecting(self, backoff: Backoff) -> BlockingReconnecting:
        return ThreadReconnecting(self, backoff)

    def _may_lead(self) -> bool:
        """Tell whether the caller, who waits, may do what is to be done between two connections."""
        return True

    def _end_last(self) -> Link | None:
        """Wait for the end of the last connection, and return it."""
        self._find_ending()  # raises when it is no end
        link = self._link
        if link is not None and (not link.is_closed or (link.loop.may_wait() and not link.is_mine)):
            link.wait_released()  # hooks are called one after the other, and closed() may still run
        return link

    def _forget_last(self) -> None:
        super()._forget_last()
        self._pump = None

    def _open(self, deadline: Deadline) -> tuple[Any, bytes]:
        """Return the connection, upgraded, and what came behind the 101."""
        return drive(self.converse(), deadline, net=socket)

    def _make_link(self, sock: Any, early: bytes) -> Link:
        transport: TransportLike
        try:
            transport = from_socket(sock)
        except TypeError:
            transport = SourceTransport(sock)  # a test's, that stands in for a socket
        conn = Connection(self._side, self.policy, self.extensions or (), now=monotonic())
        pump = self._make_pump()
        link = self._bind(self._new_link(Link, transport, conn, pump))
        pump.bind(link)
        link.begin(early)
        return link

    def _make_pump(self) -> Pump:
        pump = self._pump = Pump()
        return pump

    def handshake_ok(self) -> None:
        """Go on when the handshake is done: call :meth:`opened`. Others give the client to a manager here."""
        link = self._ensure_link()
        with nullcontext() if self._pump is None else self._pump.hook():
            if not link._told_opened:  # by somebody who waits in another thread
                link.open()

    # --- the end ---------------------------------------------------------------------------------

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """
        Begin the closing handshake; see :meth:`.WebSocket.close`. Without a connection, do nothing.

        Whoever waits afterwards, in :meth:`run` or :meth:`receive`, waits for ``policy.close_timeout``
        at most.
        """
        if self._reconnecting is not None:
            self._reconnecting.stop()
        if self._link is not None:
            super().close(code, reason)
            self._drain()

    # --- without a manager -------------------------------------------------------------------------

    def send(self, payload: str | Buffer | Message | Iterable[Any], binary: bool = False) -> None:
        """
        Send a message; see :meth:`.WebSocket.send`.

        Without a manager it returns when the network has taken it all; not when it is called in a hook, nor
        when another thread waits, in :meth:`receive` or :meth:`run`: that one sends the rest while it does.
        """
        try:
            super().send(payload, binary)
        finally:
            self._drain()
            if self._reconnecting is not None:
                self._reconnecting.poke()

    def receive(self, timeout: float | None = None) -> Message | None:
        """Wait for the next message; see :meth:`.WebSocket.receive`. Without a manager, this reads."""
        if self._reconnecting is not None:
            return self._note_taken(self._reconnecting.receive(self._receive_from, timeout))
        return self._note_taken(self._receive_from(self._ensure_link(), timeout))

    def _receive_from(self, link: Link, timeout: float | None) -> Message | None:
        message = link.receive(timeout)
        if message is None and link.loop is self._pump:
            link.wait_released()  # the server's FIN has half a second to come
        return message

    def run(self) -> None:
        """
        Call the hooks until the connection has ended; who reconnects in :meth:`closed` goes on.

        Raises:
            ConnectionClosed: There was none.
        """
        link = self._landed() or self._ensure_link()
        while True:
            link.wait_released()
            if self._reconnecting is not None:
                self._reconnecting.wait_settled(link)
            following = self._landed()
            if following is None or following is link:
                return
            link = following

    def once(self) -> bool:
        """
        Wait until something happens, and call the hooks for it.

        Returns:
            Whether there may be more.

        Raises:
            RuntimeError: A manager does that; or it was called in a hook, which would wait for itself.
        """
        link = self._landed() or self._ensure_link()
        pump = self._pump
        if pump is None or link.loop is not pump:
            raise RuntimeError("this client is in the hands of a manager, which calls its hooks")
        if link.is_mine:
            raise RuntimeError("once() waits for the next hook; it was called in one")
        if not link.released:
            pump.once()
        elif self._reconnecting is not None:
            self._reconnecting.wait_settled(link)
            return self._landed() is not link
        return not link.released or not (self._reconnecting is None or self._reconnecting.is_over(link))

    def _landed(self) -> Link | None:
        """Return the connection that there is, or was; not one that is about to be taken up."""
        return self._link if self._reconnecting is None else self._reconnecting.link

    def _drain(self) -> None:
        link = self._link
        if link is not None and link.loop is self._pump and (link.blocked or link.conn.finished):
            self._pump.drain()

    def __enter__(self: _Client) -> _Client:
        if self._link is None:
            self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        link = self._link
        if link is not None:
            self.close(find_leaving_code(error))
            if not link.is_mine:
                link.wait_released()
