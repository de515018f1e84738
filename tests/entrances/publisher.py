"""A program without WebSockets that publishes, while clients come and go."""

from __future__ import annotations

import threading

from ws4py_middleware.hub import Hub

__all__ = ["Publisher"]


class Publisher:
    """
    Publish numbers into a room, one after the other from 0 on, until it is told to stop.

    Args:
        interval: The time from one to the next; seconds.
        end: What is published after them.

    Attributes:
        count: How many have been published.
    """

    def __init__(self, url: str, room: str, *, interval: float, end: str | None = None) -> None:
        self.count = 0
        self._room = room
        self._interval = interval
        self._end = end
        self._hub = Hub(url, history=100_000)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Publisher:
        self._publish()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Publish no more; all that was has left when this returns."""
        self._stopped.set()
        self._thread.join()
        self._hub.close()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            self._publish()
        if self._end is not None:
            self._hub.publish(self._room, self._end)

    def _publish(self) -> None:
        self._hub.publish(self._room, str(self.count))
        self.count += 1
