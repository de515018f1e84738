"""
The client for applications of tornado, whose loop is asyncio's.

::

    from tornado import ioloop
    from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient

    class MyClient(TornadoWebSocketClient):
        def opened(self):
            self.send("hello")

        def received_message(self, message):
            print(message)
            self.close()

        def closed(self, code, reason=None):
            ioloop.IOLoop.current().stop()

    client = MyClient("ws://localhost:9000/echo")
    client.connect()
    ioloop.IOLoop.current().start()

It is the client of :mod:`.asyncclient`, with a :meth:`~TornadoWebSocketClient.connect` that need not be
awaited, and may come before the loop runs. tornado itself is not imported: its loop is found by asyncio.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any

from ..exc import ConnectionClosed, HandshakeError
from ..link import Link
from ..tasklink import TaskLink
from .asyncclient import AsyncWebSocketClient
from .asyncreturning import ReturningTaskLink, TaskReconnecting
from .backoff import Backoff
from .tls import SSLOptions

if TYPE_CHECKING:
    from tornado.ioloop import IOLoop

__all__ = ["Connecting", "TornadoWebSocketClient"]

logger = logging.getLogger("ws4py_middleware")

#: Rounds of the loop, after which asyncio has closed a descriptor; TLS takes some.
_ROUNDS = 5


class Connecting(asyncio.Future[None]):
    """
    The outcome of a :meth:`TornadoWebSocketClient.connect`; to cancel it ends the attempt.

    It belongs to the client's loop. It knows whether anybody waits for it: else the client's hook is told.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.is_awaited = False
        self.task: asyncio.Task[None] | None = None

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        """Have a function called at the end; whoever awaits comes by here."""
        if not _only_logs(fn):
            self.is_awaited = True
            super().add_done_callback(fn, context=context)

    def cancel(self, msg: Any | None = None) -> bool:
        """Give the attempt up."""
        is_new = super().cancel(msg)
        if is_new and self.task is not None:
            self.task.cancel(msg)
        return is_new


class _QuietLink(TaskLink):
    """
    One connection that tells of its end when nothing is left of it.

    ``closed()`` stops the loop, in ws4py's documents: then nobody would wait for the server's FIN, nor close
    the descriptor, and asyncio would complain of a task that was never done.
    """

    __slots__ = ("_due",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._due: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def _last_callbacks(self, tell: bool) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
        self._due += super()._last_callbacks(tell)
        if not self.conn.finished:
            return []
        due, self._due = self._due, []
        return due

    async def _conclude_async(self) -> None:
        if self.conn.finished:
            self._busy = self.loop.current()  # there is a hook to come
            self.release()
            await _run_rounds()
            self.transport.abort()  # in TLS, asyncio waits for the server's last word, which has had its time
            await _run_rounds()
        await super()._conclude_async()


class _ReturningQuietLink(ReturningTaskLink, _QuietLink):
    """The same, of a client that comes back."""


class _Reconnecting(TaskReconnecting):
    link_class = _ReturningQuietLink


class TornadoWebSocketClient(AsyncWebSocketClient):
    """
    A client whose hooks are called in the loop of tornado; they may be ``async def``.

    Args:
        url, protocols, extensions: As for :class:`~ws4py_middleware.client.WebSocketBaseClient`.
        io_loop: The loop, of tornado; by default the one that is current where :meth:`connect` is called.
        ssl_options, headers, exclude_headers, settings: As there.

    Raises:
        ValueError: The URL is none, or has a fragment; or a header cannot be sent.
        TypeError: There is no such setting.
    """

    def __init__(
        self,
        url: str,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[str] | None = None,
        io_loop: IOLoop | None = None,
        ssl_options: SSLOptions | None = None,
        headers: Iterable[tuple[str, str]] | Mapping[str, str] | None = None,
        exclude_headers: Iterable[str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            url,
            protocols,
            extensions,
            ssl_options=ssl_options,
            headers=headers,
            exclude_headers=exclude_headers,
            **settings,
        )
        self.io_loop = io_loop
        self._connecting: Connecting | None = None

    def connect(self) -> Connecting:  # type: ignore[override]  # may be awaited, too
        """
        Begin to connect, and return at once; any thread may, and the loop need not run yet.

        What comes of it is known once the loop runs. Who awaits the future that is returned goes on behind
        :meth:`opened`, or gets the exception; it is one of those of :meth:`.AsyncWebSocketClient.connect`.
        When nobody does, :meth:`closed` is called with 1006 and what went wrong; and where that is not
        overridden, a line is logged. To leave the future to tornado, as in ``call_later(1, client.connect)``,
        is not to await it.

        It may be called in :meth:`closed`, to connect anew.

        Returns:
            A future of the loop; await it in the loop's thread, or let it be.

        Raises:
            RuntimeError: It is connected, or about to be; or the loop is closed.
        """
        if self._connecting is not None:
            raise RuntimeError("it is about to be connected already; wait for that, or cancel() it")
        if self.is_open:
            raise RuntimeError("it is connected already; close() it first")
        # Each loop of tornado is one of asyncio.
        loop = _find_loop() if self.io_loop is None else self.io_loop.asyncio_loop  # type: ignore[attr-defined]
        connecting = Connecting(loop)
        loop.call_soon_threadsafe(self._start_attempt, connecting)
        self._connecting = connecting
        return connecting

    def _start_attempt(self, connecting: Connecting) -> None:
        if connecting.cancelled():
            self._connecting = None
        else:
            name = f"{type(self).__name__} connects"
            connecting.task = connecting.get_loop().create_task(self._attempt(connecting), name=name)

    async def _attempt(self, connecting: Connecting) -> None:
        problem: Exception | None = None
        last = self._link
        try:
            if isinstance(last, _QuietLink) and last.is_closed and not last.released:
                await self._wait_ending(last)  # its closed() is still to come
            await super().connect()
        except asyncio.CancelledError:
            connecting.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - who awaits the future gets it; else see below
            problem = error
        finally:
            self._connecting = None  # a hook that is told may connect again
        if connecting.done():
            return
        if problem is None:
            connecting.set_result(None)
            return
        connecting.set_exception(problem)
        if not connecting.is_awaited:
            connecting.exception()  # so that asyncio does not complain: it is told here
            await self._tell_problem(problem)

    async def _tell_problem(self, problem: Exception) -> None:
        """Tell that there is no connection; without a word, a script would run its loop for ever."""
        said = str(problem) or type(problem).__name__
        if not isinstance(problem, HandshakeError | OSError | ConnectionClosed):
            logger.error("%r cannot be connected", self, exc_info=problem)
        elif type(self).closed is AsyncWebSocketClient.closed:
            logger.warning("%r has no connection to %s: %s", self, self.bind_addr, said)
        if self.is_open:
            return  # another thread was faster, and this was one too many
        try:
            result: object = self.closed(1006, said)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            logger.error("%r raised an exception; it has no connection", self, exc_info=error)

    def _make_reconnecting(self, backoff: Backoff) -> TaskReconnecting:
        return _Reconnecting(self, backoff)

    def _new_link(self, kind: type[Link], transport: Any, conn: Any, loop: Any) -> Link:
        return super()._new_link(_QuietLink if kind is TaskLink else kind, transport, conn, loop)


async def _run_rounds() -> None:
    """Let asyncio do what is under way."""
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)


def _find_loop() -> asyncio.AbstractEventLoop:
    """Return the loop that ``IOLoop.current()`` stands for in this thread; it is made where there is none."""
    try:
        return asyncio.get_event_loop()
    except (RuntimeError, DeprecationWarning):  # Python 3.12 and 3.13 warn before they make one
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop


def _only_logs(function: Callable[..., object]) -> bool:
    """
    Tell whether a callback of a future is the one that tornado adds to those that callbacks return.

    It looks like anybody who waits, but does nothing with an exception beyond logging it. When it is not
    recognized, that is what happens.
    """
    if getattr(function, "__module__", None) != "tornado.ioloop":
        return False
    cells = getattr(function, "__closure__", None) or ()
    return "_discard_future_result" in [getattr(cell.cell_contents, "__name__", "") for cell in cells]
