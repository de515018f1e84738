"""Echoes that cost more than they have to, each in a way that the guard is there to see."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from benchmarks.apps.ours import hello
from ws4py_middleware import EchoWebSocket, Route, WebSocketMiddleware
from ws4py_middleware.manager import WebSocketManager

if TYPE_CHECKING:
    from ws4py_middleware.messaging import Message

WebSocketManager.handon_after = 1.0  # as in scripts/lib/guard/apps.py


class Uncorked(EchoWebSocket):
    """Sends from another thread, so that nothing is held back until the hook returns."""

    def received_message(self, message: Message) -> None:
        """Send it back."""
        thread = threading.Thread(target=self.send, args=[message])
        thread.start()
        thread.join()


class Asking(EchoWebSocket):
    """Asks the system for something with each message."""

    def received_message(self, message: Message) -> None:
        """Send it back."""
        os.getppid()
        self.send(message)


class Slow(EchoWebSocket):
    """Takes a few thousand instructions more with each message."""

    def received_message(self, message: Message) -> None:
        """Send it back."""
        sum(range(500))
        self.send(message)


def choose(handler: type[EchoWebSocket], turn_bytes: int = 65536) -> WebSocketMiddleware:
    """Make an application of one of them."""
    return WebSocketMiddleware(hello, {"/echo": Route(handler, turn_bytes=turn_bytes)})


good = choose(EchoWebSocket)
uncorked = choose(Uncorked)
asking = choose(Asking)
#: Reads each message by itself.
sipping = choose(EchoWebSocket, 131)
