"""
How clients that block come back: whoever waits carries the campaign out, or a greenlet, or the dialers.

A client without a manager has its hooks called in the thread that waits, also those between two
connections. Only the dialing itself has a thread: ``receive(timeout=0.1)`` returns in time, and an attempt
that takes longer goes on.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import threading
from _thread import get_ident
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..inbox import Waiter
from ..messaging import Message
from ..registry import Registry
from .away import Attempt, Call, Campaign, Reconnecting, Returning, Step, Wait
from .backoff import Backoff
from .dialers import get_dialers
from .dialing import Deadline

if TYPE_CHECKING:
    from ..core.connection import Connection
    from ..link import Link, Loop, TransportLike
    from . import WebSocketBaseClient

__all__ = ["BlockingReconnecting", "ReturningLink", "ThreadReconnecting"]

logger = logging.getLogger("ws4py_middleware")

#: How often a client that is away looks whether its manager is still there; seconds.
_LOOK_INTERVAL = 1.0


class ReturningLink(Returning):
    """One connection of a client that comes back, in the hands of threads or greenlets."""

    reconnecting: BlockingReconnecting

    def _tell_opened(self) -> None:
        super()._tell_opened()
        self.reconnecting.opened(self)

    def _last_callbacks(self, tell: bool) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
        # Another thread may terminate() it before the beginning was told.
        return super()._last_callbacks(tell and self._told_opened)


class BlockingReconnecting(Reconnecting):
    """What the clients that block have in common, in threads and in greenlets."""

    link_class = ReturningLink

    client: WebSocketBaseClient

    def __init__(self, client: WebSocketBaseClient, backoff: Backoff) -> None:
        super().__init__(client, backoff)
        #: Who carries the campaign out at the moment.
        self._worker: Hashable = None
        #: The connection that is being taken up: it may end in its own thread before that is done.
        self._landing: Returning | None = None

    @abstractmethod
    def _current(self) -> Hashable:
        """Return the calling thread or greenlet."""

    @abstractmethod
    def _make_waiter(self) -> Waiter:
        """Return what the calling thread or greenlet waits on."""

    def make_link(self, transport: TransportLike, conn: Connection, loop: Loop) -> Returning:
        """Make what drives a connection; see :meth:`.Reconnecting.make_link`."""
        link = self._landing = super().make_link(transport, conn, loop)
        return link

    def landed(self, link: Link) -> None:
        """Note that there is a connection; see :meth:`.Reconnecting.landed`."""
        super().landed(link)
        self.missed()

    def missed(self) -> None:
        """Note that a connection was made and is not taken up, or is taken up by now."""
        self._landing = None
        self._changed()

    def is_settled(self, link: Link | None) -> bool:
        """Tell whether it is known what comes after a connection: another one, or none."""
        return (link is None or self._landing is not link) and super().is_settled(link)

    def connect(self) -> None:
        """
        Connect, as the application wants; go on if that fails, and is to be tried again.

        Raises:
            ConnectionClosed: It was closed while it was being connected.
            Exception: What :meth:`.WebSocketBaseClient.connect` raises, and the last attempt did.
        """
        self.restart()
        client = self.client
        try:
            link = client._begin(*client._open(Deadline(client.policy.open_timeout)))
        except Exception as error:
            if not self.persist(error):
                raise
        else:
            self.landed(link)
            return
        try:
            self.wait(lambda: self.link is not None or self.campaign is None)
        except BaseException:
            self.stop()
            raise
        if self.link is None:
            raise self.get_failure()

    def receive(
        self, receive: Callable[[Link, float | None], Message | None], timeout: float | None
    ) -> Message | None:
        """
        Wait for the next message, on whichever connection it comes.

        Args:
            receive: Waits for the next message of one connection.
            timeout: Seconds.

        Raises:
            TimeoutError: None came in time.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            link = self.link or self.client._ensure_link()
            try:
                message = receive(link, _left(deadline))
            except TimeoutError:
                raise TimeoutError(f"no message within {timeout:g} s") from None
            if message is not None:
                return message
            if not self.wait_settled(link, _left(deadline)):
                raise TimeoutError(f"no message within {timeout:g} s")
            if self.link is link:
                return None

    def wait_settled(self, link: Link, timeout: float | None = None) -> bool:
        """Wait until it is known what comes after a connection; return whether it is."""
        return self.wait(lambda: self.is_settled(link), timeout)

    def wait(self, until: Callable[[], bool], timeout: float | None = None) -> bool:
        """
        Wait until something is so, or the time is over; return whether it is.

        Raises:
            RuntimeError: It was called from a hook, which would wait for itself.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while not until():
            if self._worker is not None and self._worker == self._current():
                raise RuntimeError("a hook would wait for what comes after it")
            if not self._go_on(deadline) and not self._pause(lambda: until() or self._may_go_on(), deadline):
                return until()
        return True

    def _may_go_on(self) -> bool:
        """Tell whether there is something to do that is the caller's to do."""
        return False

    def _go_on(self, deadline: float | None) -> bool:
        """Do something about it, if that is the caller's to do; return whether anything was done."""
        return False

    def poke(self) -> None:
        """Do what is to be done by now, if it is the caller's to do; wait for nothing."""

    def _pause(self, until: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until something changes, or is so; return whether there is time left."""
        left = _left(deadline)
        if left == 0:
            return False
        waiter = self._make_waiter()
        self._add_waiter(waiter)
        try:
            if not until():
                waiter.wait(left)
        finally:
            self._remove_waiter(waiter)
        return True

    def _wait_for_room(self, link: Returning, size: int) -> bool:
        if link.is_mine or self._worker == self._current() or not link.loop.may_wait():
            return False
        self.wait(lambda: not self.is_full(size) or self.is_hopeless)
        return True

    # --- steps -----------------------------------------------------------------------------------

    def _do(self, campaign: Campaign, step: Step) -> Exception | None:
        """Do a step, but for the waiting, and return its result."""
        if isinstance(step, Call):
            try:
                step.function(*step.args)
            except BaseException as error:
                # As in other hooks: what others wait for, or run in, is not ended by sys.exit().
                if not isinstance(error, Exception) and not self._is_shared:
                    raise
                logger.exception("%r raised an exception between two connections", self.client)
        elif isinstance(step, Attempt):
            client = self.client
            try:
                sock, early = client._open(self._make_deadline())
            except Exception as error:  # noqa: BLE001 - it is the result
                return error
            return self._land(campaign, sock, early)
        return None

    @property
    def _is_shared(self) -> bool:
        return self.link is not None and self.link.loop.is_shared

    def _abandon(self, campaign: Campaign) -> None:
        """Give a campaign up that nobody carries out any more, but others wait for."""
        if self.campaign is campaign:
            self.stop()

    def _finish(self, campaign: Campaign, result: Exception | None = None) -> None:
        if self.campaign is campaign:
            campaign.advance(result)

    def _make_deadline(self) -> Deadline:
        return Deadline(self.client.policy.open_timeout)

    def _land(self, campaign: Campaign, sock: Any, early: bytes) -> Exception | None:
        """Go on with a connection, unless nobody wants it any more; return what went wrong."""
        if self.campaign is not campaign:
            sock.close()
            return None
        old, client, manager = self.link, self.client, campaign.manager
        try:
            link = client._begin(sock, early)
            if manager is not None and not isinstance(link.loop, Registry):
                manager._add(client)  # it was added by hand before, too
        except Exception as error:  # noqa: BLE001 - it is the result
            self.missed()
            failed = client._link
            if isinstance(failed, Returning) and old is not None and failed is not old:
                old.inherit(failed)
            return error
        self.landed(link)
        if manager is not None and manager.is_ending:
            self.stop()
            link.terminate()
            if not link.wait_released(_LOOK_INTERVAL):
                manager.stop()  # it had done so before this one was added to it
        return None


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - monotonic(), 0)


class _Dialing(Deadline):
    """The deadline of an attempt that may be called off from another thread."""

    def __init__(self, timeout: float | None) -> None:
        super().__init__(timeout)
        self._lock = threading.Lock()
        self._sock: Any = None
        self._is_off = False

    def left(self, step: str) -> float | None:
        """
        Return the seconds that are left.

        Raises:
            ConnectionAbortedError: Nobody wants the connection any more.
        """
        if self._is_off:
            raise ConnectionAbortedError(f"{step} was called off")
        return super().left(step)

    @contextmanager
    def watch(self, sock: Any) -> Iterator[None]:
        """Know which socket to disturb."""
        with self._lock:
            self._sock = sock
        try:
            self.left("the connection")
            yield
        finally:
            with self._lock:
                self._sock = None

    def call_off(self) -> None:
        """Let whoever dials return soon."""
        with self._lock:
            self._is_off = True
            if isinstance(self._sock, socket.socket):
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # also one in TLS, without a word


class _Dial:
    """An attempt in a thread of its own."""

    def __init__(self, campaign: Campaign, client: WebSocketBaseClient, deadline: Deadline) -> None:
        self.campaign = campaign
        self.is_done = False
        self.error: Exception | None = None
        self._opened: tuple[Any, bytes] | None = None
        self._client = client
        self._deadline = deadline
        self._lock = threading.Lock()

    def run(self, done: Callable[[_Dial], bool]) -> None:
        """Dial; ``done`` tells whether anybody wants to know what came of it."""
        try:
            self._opened = self._client._open(self._deadline)
        except Exception as error:  # noqa: BLE001 - it is the result
            self.error = error
        self.is_done = True
        if not done(self):
            self.drop()

    def take(self) -> tuple[Any, bytes] | None:
        """Return the connection once, and what came behind the 101."""
        with self._lock:
            opened, self._opened = self._opened, None
        return opened

    def drop(self) -> None:
        """Close the connection, if there is one that nobody has taken."""
        if (opened := self.take()) is not None:
            opened[0].close()


class ThreadReconnecting(BlockingReconnecting):
    """For clients in the hands of those who wait, of a thread of their own, or of a manager's."""

    def __init__(self, client: WebSocketBaseClient, backoff: Backoff) -> None:
        super().__init__(client, backoff)
        self._deadline: _Dialing | None = None
        self._dial: _Dial | None = None
        self._errand: Callable[[], None] | None = None

    def _current(self) -> Hashable:
        return get_ident()

    def _make_waiter(self) -> Waiter:
        return threading.Event()

    def _make_deadline(self) -> Deadline:
        deadline = self._deadline = _Dialing(self.client.policy.open_timeout)
        return deadline

    def _begin(self, campaign: Campaign) -> None:
        if campaign.manager is not None:
            self._errand = functools.partial(self._run_errand, campaign)
            get_dialers().later(monotonic(), self._errand)

    def _call_off(self, campaign: Campaign) -> None:
        with self._lock:
            dial, self._dial = self._dial, None
            deadline, self._deadline = self._deadline, None
            errand, self._errand = self._errand, None
        if deadline is not None:
            deadline.call_off()
        if dial is not None and dial.is_done:
            dial.drop()
        if errand is not None:
            get_dialers().cancel(errand)

    # --- for a manager: in one of the dialers ----------------------------------------------------

    def _run_errand(self, campaign: Campaign) -> None:
        manager = campaign.manager
        self._worker = get_ident()
        try:
            while self.campaign is campaign and (step := campaign.step) is not None:
                if manager is not None and manager.is_ending:
                    self.stop()
                elif isinstance(step, Wait) and step.until > monotonic():
                    with self._lock:
                        if self.campaign is campaign and self._errand is not None:
                            next_look = monotonic() + _LOOK_INTERVAL
                            get_dialers().later(min(step.until, next_look), self._errand)
                    return
                else:
                    self._finish(campaign, self._do(campaign, step))
        except BaseException:
            self._abandon(campaign)
            raise
        finally:
            self._worker = None

    # --- without one: in the thread that waits ---------------------------------------------------

    def poke(self) -> None:
        """Do what is to be done by now, if it is the caller's to do; wait for nothing."""
        if self._worker != get_ident():
            while self._go_on(0.0):
                pass

    def _may_go_on(self) -> bool:
        campaign = self.campaign
        is_free = campaign is not None and campaign.manager is None and self._worker is None
        return is_free and self.client._may_lead()

    def _go_on(self, deadline: float | None) -> bool:
        with self._lock:
            campaign = self.campaign
            if campaign is None or not self._may_go_on():
                return False
            self._worker = get_ident()
        try:
            return self._lead(campaign, deadline)
        finally:
            with self._lock:
                self._worker = None
            self._changed()

    def _lead(self, campaign: Campaign, deadline: float | None) -> bool:
        """Do one step, or as much of it as there is time for; return whether anything was done."""
        step = campaign.step
        if isinstance(step, Attempt):
            return self._attempt_beside(campaign, deadline)
        if isinstance(step, Wait):
            now = monotonic()
            left = min(step.until, step.until if deadline is None else deadline) - now
            if left > 0:
                self._pause(lambda: self.campaign is not campaign, now + left)
            if step.until > monotonic():
                return left > 0
        try:
            if isinstance(step, Call):
                self._do(campaign, step)
        finally:
            self._finish(campaign)  # a hook is called once, also one that ends with sys.exit()
        return True

    def _attempt_beside(self, campaign: Campaign, deadline: float | None) -> bool:
        """Dial in a thread, and go on with the connection in this one."""
        with self._lock:
            dial = self._dial
            if is_new := (dial is None or dial.campaign is not campaign):
                dial = self._dial = _Dial(campaign, self.client, self._make_deadline())
        if is_new:
            name = "WebSocket dialer"
            threading.Thread(target=dial.run, args=(self._dialed,), name=name, daemon=True).start()
        is_ready = self._pause(lambda: dial.is_done or self.campaign is not campaign, deadline)
        if not dial.is_done:
            return is_new or is_ready
        with self._lock:
            opened = dial.take()
            if self._dial is dial:
                self._dial = None
        if opened is not None:
            self._finish(campaign, self._land(campaign, *opened))
        else:
            self._finish(campaign, dial.error)
        return True

    def _dialed(self, dial: _Dial) -> bool:
        with self._lock:
            is_wanted = self._dial is dial
        self._changed()
        return is_wanted
