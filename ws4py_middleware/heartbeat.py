"""ws4py's heartbeat, for a WebSocket that no manager has."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Protocol

from .exc import ConnectionClosed
from .messaging import PongControlMessage

__all__ = ["Heartbeat"]


class _Living(Protocol):
    def send(self, payload: PongControlMessage, /) -> None: ...
    def close_connection(self) -> None: ...


class Heartbeat(threading.Thread):
    """
    Send a pong now and then, for a WebSocket that no manager has.

    A manager needs no such thread: it pings by itself, and notices who does not answer.

    Args:
        websocket: Whose peer is told.
        frequency: Seconds between two pongs; 0 or ``None`` for none at all.
    """

    def __init__(self, websocket: _Living, frequency: float | None = 2.0) -> None:
        super().__init__(name="Heartbeat", daemon=True)
        self.websocket = websocket
        self.frequency = frequency
        self._stopped = threading.Event()

    def __enter__(self) -> Heartbeat:
        if self.frequency:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the thread; again does nothing."""
        self._stopped.set()

    def run(self) -> None:
        """Send a pong at each interval, until stopped or until that fails."""
        if not self.frequency:
            return
        while not self._stopped.wait(self.frequency):
            try:
                self.websocket.send(PongControlMessage(b"beep"))
            except (ConnectionClosed, OSError):
                self.websocket.close_connection()
                return
