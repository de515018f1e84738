"""
The process whose instructions are counted: a manager, an echo, and a room, on sockets that it inherits.

One thread, and nothing in it goes by the clock: no keepalive, turns that take as long as they take, and no
watchdog, which there is only where handlers are handed on.
"""

from __future__ import annotations

import gc
import importlib
import socket
import sys

from scripts.lib.guard.load import GREETING
from ws4py_middleware import Policy, WebSocket
from ws4py_middleware.corks import Cork
from ws4py_middleware.handover import from_socket
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import Message

POLICY = Policy(ping_interval=None, turn_time=60.0)


class Member(WebSocket):
    """Sends what one member says to all members."""

    def opened(self) -> None:
        """Become a member, and say so."""
        self.join("all")
        self.send(GREETING)
        gc.freeze()  # see main()

    def received_message(self, message: Message) -> None:
        """Tell everybody; at the end of the round, as where handlers are handed on."""
        with Cork():
            self.hub.publish("all", message)


def main() -> None:
    """
    Serve descriptors until somebody ends the process.

    The command line names a handler, the descriptor of the one that it gets, and those of the members.
    """
    module, _, name = sys.argv[1].partition(":")
    handler = getattr(importlib.import_module(module), name)
    manager = WebSocketManager(max_threads=1)
    for kind, fd in zip([handler] + [Member] * len(sys.argv[3:]), sys.argv[2:], strict=True):
        manager.attach(kind(), from_socket(socket.socket(fileno=int(fd))), policy=POLICY)
    # To look through all that was imported takes millions, and falls into this load or that one.
    gc.collect()
    gc.freeze()
    manager.run()


if __name__ == "__main__":
    main()
