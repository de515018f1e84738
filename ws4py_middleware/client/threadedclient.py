"""
The client with a thread of its own: it reads, answers pings and calls the hooks while nobody waits.

::

    from ws4py_middleware.client.threadedclient import WebSocketClient

    class EchoClient(WebSocketClient):
        def opened(self):
            self.send("hello")

        def received_message(self, message):
            print(message)
            self.close(reason="Bye bye")

    client = EchoClient("ws://localhost:9000/echo")
    client.connect()
    client.run_forever()

All hooks are called in that thread, and in no other. What needs no hooks asks for its messages: ``receive()``
and ``for message in client`` work in any other thread.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from _thread import get_ident
from time import monotonic
from types import TracebackType
from typing import Any, cast

from ..exc import ConnectionClosed
from ..inbox import Waiter
from ..link import Link
from ..websocket import WebSocket
from . import WebSocketBaseClient
from .pump import Pump
from .returning import ReturningLink

__all__ = ["WebSocketClient"]

#: How long the interpreter's exit waits for the servers' last words, in all; seconds.
_EXIT_TIMEOUT = 1.0

#: How long it waits for a hook that still runs then; seconds.
_LEAVE_TIMEOUT = 0.1


class _ThreadPump(Pump):
    """The loop of a link that has a thread of its own: nobody else polls."""

    #: Others wait for it: what a hook raises must not end it.
    is_shared = True

    def __init__(self) -> None:
        super().__init__()
        #: The only thread that may pump.
        self.owner: int | None = None
        self._leaving = False

    def make_waiter(self) -> Waiter:
        """Return an event; the thread itself pumps for it, when a hook sends more than the network takes."""
        return super().make_waiter() if get_ident() == self.owner else threading.Event()

    def serve(self) -> None:
        """Pump until the connection has ended; be called by the thread."""
        self.owner = get_ident()
        link = self._link
        if link is None:
            return  # somebody has ended it meanwhile
        try:
            self.drive(lambda: self._leaving)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave others waiting for ever
            link.on_fault(error)
        link.release()

    def leave(self) -> None:
        """Let the thread end as soon as no hook runs, and call no more hooks."""
        self._leaving = True
        self.poke()


class _Thread(threading.Thread):
    """The thread of a client; it holds its client only while there is a connection."""

    def __init__(self, *, daemon: bool) -> None:
        super().__init__(name="WebSocketClient", daemon=daemon)
        #: The connection to serve next.
        self.link: Link | None = None
        #: Whether it does nothing more, so that others have to.
        self.is_done = False

    def run(self) -> None:
        """Serve one connection after the other: ``closed()`` may have made the next one."""
        while (link := self.link) is not None:
            self.link = None
            try:
                cast("_ThreadPump", link.loop).serve()
                if isinstance(link, ReturningLink):
                    # And here all is done that there is to do until then.
                    link.reconnecting.wait_settled(link)
            finally:
                self.is_done = self.link is None
                if isinstance(link, ReturningLink):
                    link.reconnecting._changed()


class WebSocketClient(WebSocketBaseClient):
    """
    A client that runs in a thread of its own, from :meth:`connect` to the end of the connection.

    The arguments, and what :meth:`connect` raises, are those of
    :class:`~ws4py_middleware.client.WebSocketBaseClient`. Here, too, :meth:`connect` may be called again when
    the connection has ended: in :meth:`closed`, where the same thread goes on, or elsewhere.

    ``send()``, ``close()`` and ``receive()`` may be called from any thread. A class without
    ``received_message()`` loses no message: when ``policy.receive_queue_messages`` wait for ``receive()``,
    the server has to wait, too.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._th = _Thread(daemon=True)

    @property
    def daemon(self) -> bool:
        """
        Whether the interpreter may exit while the connection is open; ``True`` unless it is set.

        The server is told with 1001 then, and has a second to answer. It can be set while there is no
        connection, and holds for those that follow.

        Raises:
            RuntimeError: It was set while the thread was running.
        """
        return self._th.daemon

    @daemon.setter
    def daemon(self, value: bool) -> None:
        if self._th.is_alive():
            raise RuntimeError("the client's thread is running; set daemon before connect()")
        self._th = _Thread(daemon=value)

    def connect(self) -> None:
        """Connect, and start the thread; see :meth:`.WebSocketBaseClient.connect`."""
        if _exiting:
            raise ConnectionClosed("the interpreter exits; nothing is connected any more")
        super().connect()

    def handshake_ok(self) -> None:
        """Start the thread, which calls :meth:`opened` first."""
        link = self._ensure_link()
        if type(self).received_message is WebSocket.received_message:
            # Before anything is read: whoever asks for messages gets them all, from the first one on.
            link.expect_receive()
        link.has_thread = True
        thread = self._th
        if thread.ident == get_ident():
            cast("_ThreadPump", link.loop).owner = thread.ident
            thread.link = link
            return
        if thread.ident is not None:
            thread.join()  # its connection has ended; so there is never more than one
            thread = self._th = _Thread(daemon=thread.daemon)
        thread.link = link
        _say_goodbye_at_exit(self)
        thread.start()

    def run(self) -> None:
        """
        Wait until the connection has ended and :meth:`closed` was called; Ctrl-C interrupts it.

        When :meth:`closed` connects again, it goes on.

        Raises:
            ConnectionClosed: There was none.
            RuntimeError: It was called in a hook, which would wait for itself.
        """
        thread = self._th
        try:
            super().run()
        except ConnectionClosed:
            # Where closed() is just about to connect again there is none to wait for, but the thread.
            if not thread.is_alive():
                raise
        if thread.ident is not None:
            thread.join()

    def run_forever(self) -> None:
        """Wait for the end; as :meth:`run`, by ws4py's name."""
        self.run()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread = self._th
        super().__exit__(kind, error, trace)
        if thread.ident not in (None, get_ident()):
            thread.join()

    def _may_lead(self) -> bool:
        thread = self._th
        return thread.ident == get_ident() or thread.is_done or not thread.is_alive()

    def _make_pump(self) -> Pump:
        return _ThreadPump()  # and not to be found by the callers: it is the thread's


_exiting = False
_clients: weakref.WeakSet[WebSocketClient] = weakref.WeakSet()


def _say_goodbye_at_exit(client: WebSocketClient) -> None:
    atexit.unregister(_say_goodbye)
    atexit.register(_say_goodbye)
    _clients.add(client)


def _say_goodbye() -> None:
    """
    End the threads that the interpreter would stop wherever they are, in the middle of a ``print()`` even.

    Those that are no daemons have been waited for already.
    """
    global _exiting
    _exiting = True
    deadline = monotonic() + _EXIT_TIMEOUT
    # In a forked child none of the threads is there, and the connections are its parent's.
    links = [(c._th, c._link) for c in list(_clients) if c._th.is_alive() and c._link is not None]
    for _, link in links:
        if isinstance(link, ReturningLink):
            link.reconnecting.stop()
        link.close(1001, "Going away")
    for thread, link in links:
        if not link.wait_released(max(deadline - monotonic(), 0)):
            cast("_ThreadPump", link.loop).leave()
        thread.join(max(deadline - monotonic(), _LEAVE_TIMEOUT))
