"""What a test does with a client of any kind, and what a kind is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any, NamedTuple

from ws4py_middleware.messaging import Message

#: Longer than anything takes; a test that waits so long has failed.
BOUND = 15.0

#: Call a function where the client lives; return, or raise, what comes of it in the end.
Call = Callable[..., Any]


class Kind(NamedTuple):
    """How a client of one kind is run."""

    #: The client's class.
    client: type[Any]
    #: Where one client lives: opened before it, closed behind it, and then nothing of it may be left.
    home: Callable[[], AbstractContextManager[Call]]
    #: Whether ``closed()`` is told of a connection that was never made, too.
    tells_failure: bool = False


class Recording:
    """Comes before a client's class, and writes down how its connections go."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        #: ``"opened"``, and (code, reason) of each end, in the order in which they were told.
        self.told: list[str | tuple[int, str | None]] = []
        #: The payloads of the pongs that answer the application's own pings.
        self.pongs: list[bytes] = []
        self.changed = threading.Condition(threading.RLock())

    def opened(self) -> None:
        with self.changed:
            self.told.append("opened")

    def ponged(self, pong: Message) -> None:
        self.pongs.append(pong.data)

    def closed(self, code: int, reason: str | None = None) -> None:
        with self.changed:
            self.told.append((code, reason))
            self.changed.notify_all()


class Session:
    """A client, spoken to from a test's thread."""

    def __init__(self, call: Call, kind: Kind, url: str, options: Mapping[str, Any]) -> None:
        self._call = call
        recording = type(kind.client.__name__, (Recording, kind.client), {})
        #: The client itself, which may live in another thread.
        self.client: Any = call(recording, url, **options)
        self._connects = 0

    def connect(self) -> None:
        """Connect; raise what the client raises."""
        self._call(self.client.connect)
        self._connects += 1

    def send(self, data: Any, binary: bool = False) -> None:
        self._call(self.client.send, data, binary)

    def receive(self, timeout: float = BOUND) -> Any:
        """Wait for the next message; ``None`` at the end, when ``closed()`` was called, too."""
        message = self._call(self.client.receive, timeout=timeout)
        if message is None:
            self._wait_told()
        return message

    def ping(self, data: bytes = b"") -> None:
        """Send a ping; its pong is in the client's ``pongs`` when a later message has come back."""
        self._call(self.client.ping, data)

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Begin the closing handshake."""
        self._call(self.client.close, code, reason)

    def terminate(self) -> None:
        """End the connection now, if there is one."""
        self._call(self.client.terminate)

    def wait(self, timeout: float = BOUND) -> None:
        """Wait for the end; what comes until then is dropped."""
        deadline = monotonic() + timeout
        while self.receive(max(deadline - monotonic(), 0)) is not None:
            pass

    def leave(self) -> None:
        """Close, and wait until the connection is all gone; unless there was none."""
        if not self._connects:
            return
        if not self._is_told_end():
            self.close()
            self.wait()
        self._call(self.client.run)

    @property
    def told(self) -> list[str | tuple[int, str | None]]:
        """Which hooks were called: ``"opened"``, and (code, reason) for ``closed()``."""
        client: Recording = self.client
        with client.changed:
            return list(client.told)

    @property
    def code(self) -> int:
        """The close code that ``closed()`` was told at the last end."""
        return self._end[0]

    @property
    def reason(self) -> str | None:
        """The reason that ``closed()`` was told."""
        return self._end[1]

    @property
    def _end(self) -> tuple[int, str | None]:
        last = self.told[-1]
        assert not isinstance(last, str), "closed() was not called yet"
        return last

    def _is_told_end(self) -> bool:
        ends = [told for told in self.told if not isinstance(told, str)]
        return self.told[-1:] == ends[-1:] and len(ends) >= self._connects

    def _wait_told(self) -> None:
        client: Recording = self.client
        with client.changed:
            done = client.changed.wait_for(self._is_told_end, BOUND)
        assert done, f"receive() has returned None, and closed() was not called: {self.told}"
