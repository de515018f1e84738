"""
The client for gevent: its connection has a greenlet, in which the hooks are called.

::

    import gevent
    from ws4py_middleware.client.geventclient import WebSocketClient

    client = WebSocketClient("ws://localhost:9000/echo")
    client.connect()

    def incoming():
        while (message := client.receive()) is not None:
            print(message)

    gevent.joinall([gevent.spawn(incoming), gevent.spawn(client.send, "hello")])

It waits as gevent's code does, in connecting, too, whether the process is monkey-patched or not. No thread is
started for it; those few that look up names are of gevent's resolver.
"""

from __future__ import annotations

import _socket
import atexit
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from ..extras import needs

with needs("gevent", "gevent", __name__):
    import gevent
    import gevent.socket
    import gevent.ssl
    from gevent.monkey import get_original
    from gevent.queue import Empty

from ..greenlets import GreenletManager
from ..handover import from_socket
from ..link import Link
from ..messaging import Message
from ..websocket import WebSocket
from . import WebSocketBaseClient
from .backoff import Backoff
from .dialing import Deadline, Waits, drive, is_address
from .greenletreturning import GreenletReconnecting

__all__ = ["Messages", "WebSocketClient"]

_Result = TypeVar("_Result")

#: How long the interpreter's exit waits for the servers' last words, in all; seconds.
_EXIT_TIMEOUT = 1.0


class WebSocketClient(WebSocketBaseClient):
    """
    A client that runs in a greenlet of its own, from :meth:`connect` to the end of the connection.

    The arguments, and what :meth:`connect` raises, are those of
    :class:`~ws4py_middleware.client.WebSocketBaseClient`. It lives in the hub of the thread that connects it;
    ``send()``, ``close()`` and ``receive()`` may be called in any greenlet, and in other threads.

    A class without ``received_message()`` loses no message: when ``policy.receive_queue_messages`` wait for
    :meth:`receive`, the server has to wait, too.
    """

    @property
    def messages(self) -> Messages:
        """The messages that wait to be taken, as a queue."""
        return Messages(self)

    def receive(  # type: ignore[override]  # a number is a timeout, wherever it stands
        self, block: bool | float | None = True, timeout: float | None = None
    ) -> Message | None:
        """
        Wait for the next message.

        Args:
            block: ``False`` waits for nothing. A number is the ``timeout``, as for the other clients.
            timeout: Seconds; ``None`` waits for as long as it takes.

        Returns:
            The message; ``None`` when the connection has ended.

        Raises:
            TimeoutError: No message came in time.
            gevent.queue.Empty: There is none, and it was not to wait.
            ConnectionClosed: There was no connection.
            RuntimeError: It was called in a hook, which would wait for itself.
        """
        if block is False:
            return self.messages.get_nowait()
        return super().receive(timeout if block is True else block)

    def handshake_ok(self) -> None:
        """Do nothing: the greenlet calls :meth:`opened` as soon as others may run."""

    def _make_reconnecting(self, backoff: Backoff) -> GreenletReconnecting:
        return GreenletReconnecting(self, backoff, _get_manager)

    def _open(self, deadline: Deadline) -> tuple[Any, bytes]:
        return drive(self.converse(), deadline, net=_NET, waits=_WAITS)

    def _make_link(self, sock: Any, early: bytes) -> Link:
        _get_manager().attach(self, from_socket(sock), early=early)
        link = self._ensure_link()
        if type(self).received_message is WebSocket.received_message:
            # Before its greenlet reads: whoever asks for messages gets them all, from the first one on.
            link.expect_receive()
        return link


class Messages:
    """The messages that wait for :meth:`WebSocketClient.receive`, as a queue like gevent's."""

    def __init__(self, client: WebSocketClient) -> None:
        self._client = client

    def get(self, block: bool = True, timeout: float | None = None) -> Message | None:
        """
        Take the next message; ``None`` when the connection has ended.

        Raises:
            gevent.queue.Empty: There was none in time.
        """
        try:
            return self._client.receive(timeout=timeout if block else 0)
        except TimeoutError:
            raise Empty from None

    def get_nowait(self) -> Message | None:
        """Take the next message, as :meth:`get`, without waiting."""
        return self.get(block=False)

    def qsize(self) -> int:
        """Return how many messages wait."""
        link = self._client._link
        return 0 if link is None or link._inbox is None else len(link._inbox)

    def empty(self) -> bool:
        """Tell whether none waits."""
        return self.qsize() == 0

    def __len__(self) -> int:
        return self.qsize()

    def __iter__(self) -> Iterator[Message]:
        return iter(self._client)


class _Net:
    """gevent's sockets."""

    def __getattr__(self, name: str) -> Any:
        return getattr(gevent.socket, name)

    def getaddrinfo(self, host: str, *args: Any) -> Any:
        """Look up a host; an address costs no thread of the resolver's."""
        look_up = _socket.getaddrinfo if is_address(host) else gevent.socket.getaddrinfo
        return look_up(host, *args)


class _GreenletWaits(Waits):
    """What makes a driver wait beside its sockets, in greenlets."""

    def sleep(self, seconds: float) -> None:
        """Let other greenlets run for some time."""
        gevent.sleep(seconds)

    def call(self, function: Callable[[], _Result], timeout: float, name: str) -> _Result:
        """
        Call what waits as gevent's code does.

        Raises:
            TimeoutError: It took too long.
        """
        with gevent.Timeout(timeout, TimeoutError):
            return function()

    def limit(self, timeout: float | None) -> AbstractContextManager[object]:
        """Let one call of a socket take so many seconds in all: gevent's TLS begins anew with each byte."""
        limit: AbstractContextManager[object] = gevent.Timeout(timeout, TimeoutError)
        return limit

    tls_socket = gevent.ssl.SSLSocket

    def wrap(self, context: ssl.SSLContext, sock: Any, name: str) -> Any:
        """Put a socket of gevent's into TLS; a context of the stdlib alone would make one that blocks."""
        return self.tls_socket(sock, server_hostname=name, do_handshake_on_connect=False, _context=context)


_NET = _Net()
_WAITS = _GreenletWaits()

# One for each thread, not for each greenlet, also when ``threading`` is patched.
_local: Any = get_original("_thread", "_local")()


def _get_manager() -> GreenletManager:
    """Return what runs the clients of this thread; a server's manager would broadcast to them, too."""
    hub = gevent.get_hub()
    if getattr(_local, "hub", None) is not hub:
        manager = GreenletManager()
        if hub.main_hub:
            atexit.register(manager.shutdown, _EXIT_TIMEOUT)
        _local.hub, _local.manager = hub, manager
    found: GreenletManager = _local.manager
    return found
