"""
The process whose instructions are counted: a manager and an echo, on a socket that it inherits.

One thread, and nothing in it goes by the clock: no keepalive, turns that take as long as they take, and no
watchdog, which there is only where handlers are handed on.
"""

from __future__ import annotations

import gc
import importlib
import socket
import sys

from ws4py_middleware import Policy
from ws4py_middleware.handover import from_socket
from ws4py_middleware.manager import WebSocketManager

POLICY = Policy(ping_interval=None, turn_time=60.0)


def main() -> None:
    """Serve the descriptor that the command line names behind a handler, until somebody ends the process."""
    module, _, name = sys.argv[1].partition(":")
    handler = getattr(importlib.import_module(module), name)
    manager = WebSocketManager(max_threads=1)
    manager.attach(handler(), from_socket(socket.socket(fileno=int(sys.argv[2]))), policy=POLICY)
    # To look through all that was imported takes millions, and falls into this load or that one.
    gc.collect()
    gc.freeze()
    manager.run()


if __name__ == "__main__":
    main()
