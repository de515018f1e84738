"""
A WebSocket in its caller's own thread: no manager, and perhaps no socket.

This is how ws4py's WebSocket works when it is used by hand: ``send()`` writes to
the data source at once, ``once()`` reads from it, ``run()`` does so until the end.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from .core.types import Buffer
from .native import Lock, get_ident

if TYPE_CHECKING:
    from .inbox import Waiter
    from .link import Link

__all__ = ["CallersLoop", "SourceTransport"]


class SourceTransport:
    """
    Any object with ``sendall(bytes)`` and ``recv(size)``: a blocking socket, or a source that is none.

    Args:
        source: ``None`` swallows what is written, and has nothing to read.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self._addresses: dict[str, Any] = {}
        # Now, because closed() may ask for the peer's when there is none any more.
        for query in ("getsockname", "getpeername"):
            if hasattr(source, query):
                with contextlib.suppress(OSError):
                    self._ask(query)

    @property
    def local_address(self) -> Any:
        """This end's address; see :attr:`.WebSocket.local_address`."""
        return self._ask("getsockname")

    @property
    def peer_address(self) -> Any:
        """The peer's address; see :attr:`.WebSocket.peer_address`."""
        return self._ask("getpeername")

    def _ask(self, query: str) -> Any:
        if query not in self._addresses:
            address = getattr(self.source, query)()
            # IPv6 has two more, which ws4py leaves out.
            self._addresses[query] = address[:2] if isinstance(address, tuple) else address
        return self._addresses[query]

    def fileno(self) -> int:
        """Return the source's descriptor; -1 when it has none."""
        return int(self.source.fileno()) if hasattr(self.source, "fileno") else -1

    def recv(self, size: int = 65536) -> bytes | None:
        """Wait for something to read; ``b""`` is the end, ``None`` says that the source waits no longer."""
        if self.source is None:
            return b""
        try:
            return bytes(self.source.recv(size))
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return None

    def send(self, data: Buffer) -> int:
        """Write all of it, however long the source takes."""
        if self.source is None:
            return len(data)
        self.source.sendall(data)
        return len(data)

    def pending(self) -> int:
        """Nothing waits here: whatever there is comes with the next :meth:`recv`."""
        return 0

    def interest(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        """Return what was asked; nobody polls."""
        return reading, writing

    def shutdown_write(self) -> None:
        """End this side of the connection, if it has sides."""
        if isinstance(self.source, socket.socket):
            with contextlib.suppress(OSError):
                self.source.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Shut down and close the source; one that is gone already is no error."""
        source = self.source
        if source is None:
            return
        try:
            if hasattr(source, "shutdown"):
                with contextlib.suppress(OSError):
                    source.shutdown(socket.SHUT_RDWR)
        finally:
            if hasattr(source, "close"):
                source.close()

    def abort(self) -> None:
        """As :meth:`close`."""
        self.close()


class _LongLock(Lock):
    """
    Somebody else's lock in the place of a link's own.

    While it is held the source writes, greenlets run, and nobody may take it again: not even a signal
    handler of the same thread, which would send within a frame.
    """

    def __new__(cls, lock: Any) -> _LongLock:
        """Leave the argument to ``__init__``: PyPy's ``RLock`` takes none."""
        return super().__new__(cls)

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def acquire(self, blocking: bool = True) -> bool:
        return bool(self._lock.acquire(blocking))

    def release(self) -> None:
        self._lock.release()

    def enter(self) -> None:
        self.acquire()

    def leave(self) -> None:
        self.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class CallersLoop:
    """
    The loop of a WebSocket that is run by whoever calls it: nothing happens later, or elsewhere.

    Args:
        source: gevent's sockets let other greenlets run while they write, and these must be
            able to wait for that.
    """

    is_shared = False
    is_threaded = False

    def __init__(self, source: Any = None) -> None:
        self._is_gevent = type(source).__module__.startswith("gevent.")

    def current(self) -> int:
        """Return the thread, or greenlet."""
        if self._is_gevent:
            import gevent

            return id(gevent.getcurrent())
        return get_ident()

    def may_wait(self) -> bool:
        """Writes wait in the source itself."""
        return True

    def make_waiter(self) -> Waiter:
        """Return an event."""
        if self._is_gevent:
            from gevent.event import Event

            return cast("Waiter", Event())
        return threading.Event()

    def make_lock(self) -> Lock:
        """Return a lock that is held while the source writes."""
        if self._is_gevent:
            from gevent.lock import Semaphore

            return _LongLock(Semaphore())
        return _LongLock(threading.Lock())

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a thread."""
        threading.Thread(target=function, name=name, daemon=True).start()

    def again(self, link: Link) -> None:
        """Do nothing: the caller's next ``once()`` or ``process()`` is the next turn."""

    def update(self, link: Link) -> None:
        """Do nothing: nobody polls."""

    def ignore(self, link: Link) -> None:
        """Do nothing: nobody polls."""

    def schedule(self, link: Link, when: float) -> None:
        """Do nothing: the caller has the clock."""

    def released(self, link: Link) -> None:
        """Do nothing: nobody keeps count."""
