"""What every manager does: know its WebSockets, admit new ones, and speak to all of them."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from _thread import RLock  # also under gevent's monkey-patching: it is never held while anybody waits
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from . import _build, admission, figures, traces
from .core.connection import Connection
from .core.frames import check_close_code
from .core.handshake import Upgrade
from .core.policy import Policy
from .core.types import Side
from .direct import CallersLoop, SourceTransport
from .drain import GOING_AWAY, RESTART, Drain, Ending
from .endings import is_ending
from .exc import HandshakeError
from .figures import ManagerStats, Totals
from .handover import from_socket
from .hub import prepare
from .link import Link, TransportLike
from .sending import deliver_all
from .timers import TimerHeap
from .tracedlink import link_class
from .websocket import WebSocket

if TYPE_CHECKING:
    import _socket

__all__ = ["Registry", "notice_fork"]

logger = logging.getLogger("ws4py_middleware")

#: How long a refused client is asked to wait; and where another process is there, or nearly; seconds.
_RETRY_AFTER = 5
_REPLACED_AFTER = 1

#: How often it is logged that WebSockets are refused; seconds.
_WARN_INTERVAL = 1.0


class Registry(ABC):
    """The WebSockets of one manager. Safe from any thread."""

    #: Most connections of this manager; ``None`` leaves it to ``policy.max_connections``.
    max_connections: int | None = None
    #: Most seconds that :meth:`shutdown` takes; ``None``: what the policies' ``drain_window`` and
    #: ``drain_grace`` add up to.
    shutdown_timeout: float | None = None

    # What the time is; that of a test moves when the test says so.
    _clock: Callable[[], float] = staticmethod(monotonic)

    def __init__(self) -> None:
        self.lock: Any = RLock()
        #: Whether new connections are refused, because the process is about to end.
        self.closing = False
        self._pid = os.getpid()
        self._links: dict[int, Link] = {}
        self._timers: TimerHeap[Any] = TimerHeap()
        self._adding: set[int] = set()
        self._drain: Drain | None = None
        self._emptied = threading.Event()
        self._warned_at = 0.0
        self._totals = Totals.of(self)
        _registries.add(self)

    @property
    def is_ready(self) -> bool:
        """Whether connections are served, or are refused because it is closing."""
        return True

    @property
    def is_ending(self) -> bool:
        """Whether nobody will be served here any more, unless it is started again."""
        return self.closing

    # --- admission -----------------------------------------------------------------------

    def check_capacity(self, policy: Policy) -> None:
        """
        Check that one more connection can be taken.

        Raises:
            HandshakeError: 503 with ``Retry-After``: the process is about to end, has as
                many connections as it may, or has hardly a descriptor left.
        """
        notice_fork()
        is_replaced = self.closing and self._drain is not None and self._drain.ending.code == RESTART.code
        retry = [("Retry-After", str(_REPLACED_AFTER if is_replaced else _RETRY_AFTER))]
        if self.closing or is_ending():
            raise HandshakeError("this server is about to restart; try again", 503, retry)
        limit = policy.max_connections if self.max_connections is None else self.max_connections
        if limit is not None and len(self._links) >= limit:
            self._warn("max_connections is reached, %d", limit)
            raise HandshakeError(f"this server has {limit} WebSockets open and takes no more", 503, retry)
        if not admission.has_spare_descriptors():
            self._warn("the process has hardly a file descriptor left (ulimit -n), with %d open", len(self))
            raise HandshakeError("this server has no room for another connection", 503, retry)

    def _warn(self, reason: str, *args: object) -> None:
        """Tell the operator that WebSockets are refused; not each time."""
        now = monotonic()
        if now - self._warned_at >= _WARN_INTERVAL:
            self._warned_at = now
            logger.warning(f"WebSockets are refused: {reason}", *args)  # noqa: G004 - ours, not the peer's

    def attach(
        self,
        websocket: WebSocket,
        transport: TransportLike,
        *,
        upgrade: Upgrade | None = None,
        policy: Policy | None = None,
        params: Mapping[str, Any] | None = None,
        early: bytes = b"",
        sink: _socket.socket | None = None,
        conn: Any = None,
    ) -> None:
        """
        Take over a connection whose opening handshake is done.

        Args:
            transport: The connection, non-blocking.
            upgrade: What the handshake agreed on; by default what the handler has in ``extensions``.
            policy: By default the handler's own.
            params: What the route took out of the path.
            early: Bytes that came right behind the request.
            sink: What swallows the server's last words; see :mod:`ws4py_middleware.handover`.
            conn: The machine of the connection; by default a new
                :class:`~ws4py_middleware.core.connection.Connection`.
        """
        policy = websocket.policy if policy is None else policy
        if websocket.heartbeat_freq:
            policy = policy.replace(ping_interval=websocket.heartbeat_freq)
        if params is not None:
            websocket.params = params
        extensions = websocket.extensions or () if upgrade is None else upgrade.extensions
        if conn is None:
            conn = self._make_connection(websocket._side, policy, extensions)
        link = self._make_link(websocket, transport, conn)
        link.fd = transport.fileno()
        websocket.sock = getattr(transport, "sock", transport)
        websocket._bind(link)
        traces.accept(websocket)
        link.begin(early)  # before anybody polls: what is read from the socket comes behind these
        self._admit(link)
        if sink is not None:
            self._swallow(sink)

    def _add(self, websocket: WebSocket) -> None:
        """Manage a WebSocket that was made by hand; its ``opened()`` is called here, or else by its loop."""
        taken, websocket._taken = websocket._taken, None
        if taken is not None:
            self.attach(websocket, taken.transport, early=taken.early, sink=taken.sink)
            return
        with self.lock:
            if _is_managed(websocket) or id(websocket) in self._adding:
                return
            self._adding.add(id(websocket))
        try:
            link = websocket._ensure_link()
            if link.has_thread:
                raise RuntimeError("it has a thread of its own already; add it in handshake_ok() instead")
            if isinstance(link.loop, CallersLoop) or not link._told_opened:
                link.open()
            self._adopt(link)
        finally:
            self._adding.discard(id(websocket))

    def _adopt(self, link: Link) -> None:
        """Manage a connection whose ``opened()`` was called, unless it was closed there."""
        if link.released:
            return
        transport = link.transport
        if isinstance(transport, SourceTransport):
            transport = from_socket(transport.source)
        link.adopt(transport, self._loop())
        self._admit(link)

    def _admit(self, link: Link) -> None:
        _build.tell()
        stale = self._links.get(link.fd)
        try:
            self._begin(link)
        except BaseException as error:
            # One that Ctrl-C has found in the books is told of the end as all others are.
            if isinstance(error, Exception) or self._links.get(link.fd) is not link:
                link.drop()
            raise
        if stale is not None:
            stale.terminate()  # its socket was closed behind our back, and the number given to another one
        if self.closing:
            link.close(*(GOING_AWAY if self._drain is None else self._drain.ending))

    # --- all of them -----------------------------------------------------------------------

    @property
    def websockets(self) -> dict[int, Any]:
        """The WebSockets by their file descriptors; a copy."""
        with self.lock:
            return {fd: link.handler for fd, link in self._links.items()}

    def stats(self) -> ManagerStats:
        """Return the figures of all connections that there were; from any thread, at any time."""
        return self._totals.sum_up(self.lock, self._links)

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.websockets.values())

    def __contains__(self, websocket: object) -> bool:
        link = getattr(websocket, "_link", None)
        return isinstance(link, Link) and self._links.get(link.fd) is link

    def broadcast(self, message: Any, binary: bool = False) -> int:
        """
        Send a message to all, and wait for nobody; a frame is built once.

        Args:
            message: str, bytes or a message.
            binary: Whether bytes are sent as a binary message.

        Returns:
            How many it was queued for.
        """
        prepared = prepare(message, binary)
        with self.lock:
            links = list(self._links.values())
        return deliver_all(links, prepared, WebSocket)

    def close_all(self, code: int = GOING_AWAY.code, message: str = GOING_AWAY.reason) -> None:
        """
        Begin the closing handshake of all, and do not wait for its end.

        Raises:
            ValueError: The code may not be sent, :rfc:`6455#section-7.4`.
        """
        check_close_code(code)
        for websocket in self:
            try:
                websocket.close(code=code, reason=message)
            except Exception:
                logger.exception("%r could not be closed", websocket)

    def drain(
        self,
        code: int = GOING_AWAY.code,
        reason: str = GOING_AWAY.reason,
        *,
        window: float | None = None,
        grace: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """
        Close all, wait for them, and cut those who do not answer; new ones are refused with 503.

        What was queued for a peer is sent before its Close frame. Where the caller cannot wait, as
        in a hook, it goes on by itself.

        Args:
            code: 1001, or 1012 when there is a server to come back to.
            reason: Cut to 123 bytes.
            window: The seconds over which they are closed, each at its own moment; by default what the
                connection's ``policy.drain_window`` says.
            grace: The seconds after that in which the answers have to come; by default
                what ``policy.drain_grace`` says.
            timeout: Most seconds in all.

        Raises:
            ValueError: The code may not be sent, :rfc:`6455#section-7.4`, or a time is below 0.
        """
        if os.getpid() != self._pid:
            return
        drain = self.begin_drain(code, reason, window=window, grace=grace, timeout=timeout)
        if not any(link.is_mine for link in list(self._links.values())):
            self._finish(drain)

    def begin_drain(
        self,
        code: int = GOING_AWAY.code,
        reason: str = GOING_AWAY.reason,
        *,
        window: float | None = None,
        grace: float | None = None,
        timeout: float | None = None,
        refuse: bool = True,
    ) -> Drain:
        """
        Do the same as :meth:`drain`, and do not wait for its end.

        One that has begun goes on with what it says, in the time that is left of both.

        Args:
            code, reason, window, grace, timeout: As for :meth:`drain`.
            refuse: Whether new connections are refused from now on, and for good; else they are not
                concerned by all this.
        """
        now = self._clock()
        with self.lock:
            drain = running = self._drain if refuse and self.closing else None
            if drain is None or drain.is_over:
                running = None
                drain = Drain(
                    self,
                    Ending(code, reason),
                    now,
                    window=window,
                    grace=grace,
                    limit=timeout,
                    final=refuse,
                )
            if refuse:
                self._drain = drain
                self.closing = True
        if running is not None and timeout is not None:
            running.hasten(now + timeout)
        drain.on_deadline(now)
        return drain

    def hasten(self, timeout: float) -> None:
        """Let the drain that has begun, if one has, end within so many seconds."""
        if self._drain is not None:
            self._drain.hasten(self._clock() + timeout)
            self._drain.on_deadline(self._clock())

    def _finish(self, drain: Drain) -> bool:
        """Wait for the end of a drain; return whether this can wait, else it goes on by itself."""
        while len(self):
            now = self._clock()
            when = drain.step(now)
            if when is None:
                break
            if len(self) and not self._wait_empty(when - now):
                return False
        return True

    def shutdown(
        self,
        timeout: float | None = None,
        code: int = GOING_AWAY.code,
        reason: str = GOING_AWAY.reason,
    ) -> None:
        """
        Close all, wait for them, drop those who do not answer, and stop; see :meth:`drain`.

        It is called when the interpreter exits.

        Args:
            timeout: Most seconds in all; by default :attr:`shutdown_timeout`.
            code: 1001, or 1012 when there is a server to come back to.
            reason: Cut to 123 bytes.
        """
        if os.getpid() != self._pid:
            return  # a forked child must not speak on its parent's connections
        drain = self.begin_drain(code, reason, timeout=self.shutdown_timeout if timeout is None else timeout)
        if not self._finish(drain):
            drain.close_rest()
        self._timers.cancel(drain)
        self.stop()

    @abstractmethod
    def stop(self) -> None:
        """Stop; connections that are still open are dropped."""

    @abstractmethod
    def _loop(self) -> Any:
        """Return the loop that links are given."""

    def _make_connection(self, side: Side, policy: Policy, extensions: Sequence[Any]) -> Connection:
        """Make the machine of a connection whose opening handshake is done."""
        return Connection(side, policy, extensions, now=self._clock())

    def _make_link(self, websocket: WebSocket, transport: TransportLike, conn: Connection) -> Link:
        """Make what drives a connection."""
        if websocket._is_async:
            raise TypeError(
                f"{type(websocket).__name__} is an asyncio WebSocket, and {type(self).__name__} has no "
                "asyncio loop; use an ASGI server, or a handler without async"
            )
        return websocket._new_link(link_class(websocket), transport, conn, self._loop())

    @abstractmethod
    def _begin(self, link: Link) -> None:
        """Poll for a link, put it on the books, and let its first turn happen."""

    @abstractmethod
    def _swallow(self, sink: _socket.socket) -> None:
        """Read a sink until it ends, and close it."""

    @abstractmethod
    def schedule(self, link: Any, when: float) -> None:
        """Come back to a link, or any other owner of a timer, at a point in time."""

    @abstractmethod
    def _wait_empty(self, timeout: float) -> bool:
        """Wait until there are no connections; return whether the caller can wait."""

    def _disown(self) -> None:
        """Forget, in a forked child, all that is the parent's."""
        links = list(self._links.values())
        self.lock = RLock()
        self.closing = False
        self._pid = os.getpid()
        self._links = {}
        self._timers = TimerHeap()
        self._drain = None
        self._adding = set()
        self._totals.clear()
        for link in links:
            link.disown()

    def _take_timers(self) -> None:
        """See to the deadlines of all links whose time has come."""
        now = self._clock()
        for link in self._timers.pop_due(now):
            try:
                link.on_deadline(now)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs one connection, not all
                link.on_fault(error)

    def _enter(self, link: Link) -> None:
        """Put a link on the books."""
        with self.lock:
            self._totals.enter(self, link)
            self._links[link.fd] = link
            self._emptied.clear()

    def _forget(self, link: Link) -> bool:
        """Take a link off the books; return whether it stood there."""
        claim = getattr(link.handler, "_claim", None)
        if claim is not None:
            claim.leave()
        with self.lock:
            if self._links.get(link.fd) is not link:
                return False
            del self._links[link.fd]
            self._totals.leave(link)
            if not self._links:
                self._emptied.set()
                if self._drain is not None:
                    self._timers.cancel(self._drain)
            return True


def _is_managed(websocket: WebSocket) -> bool:
    """Tell whether a manager has it, this one or another: two would each call the hooks."""
    link = websocket._link
    return link is not None and isinstance(link.loop, Registry) and websocket in link.loop


_registries: weakref.WeakSet[Registry] = weakref.WeakSet()
_pid = os.getpid()


def notice_fork() -> None:
    """Let a forked child have its own, also where nobody has told Python: uWSGI forks in C."""
    if os.getpid() != _pid:
        _after_fork()


def _after_fork() -> None:
    global _pid
    _pid = os.getpid()
    admission.disown()
    figures.disown()
    for registry in list(_registries):
        try:
            registry._disown()
        except Exception:
            # The others are to be forgotten, too: their descriptors are the parent's.
            logger.exception("%r could not be forgotten in a forked child", registry)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
