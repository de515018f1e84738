"""What an idle connection costs beside the user's own object, to the byte: what Python was asked for."""

from __future__ import annotations

import contextlib
import gc
import socket
import tracemalloc

from tests.servers import wait_for
from ws4py_middleware import WebSocket
from ws4py_middleware.core import COMPILED
from ws4py_middleware.handover.sockets import take
from ws4py_middleware.manager import WebSocketManager

#: The promise, of which the compiled build takes some twenty bytes less; in pure Python each number and each
#: flag has at least eight bytes.
MOST = 1024 if COMPILED else 1300

BEFORE, COUNTED = 60, 200


class Own(WebSocket):
    """The user's object, which somebody counts who is told of each."""

    told = 0

    def opened(self) -> None:
        """Be counted."""
        Own.told += 1


def connect(listener: socket.socket, stack: contextlib.ExitStack) -> socket.socket:
    """Return the server's socket of a connection over TCP, as a server has it; the client's is kept open."""
    stack.enter_context(socket.create_connection(listener.getsockname()))
    return stack.enter_context(listener.accept()[0])


def test_idle_connection_costs_its_share_beside_the_users_object() -> None:
    """With its socket, its keepalive's timer, the peer's address, and all that the books say of it."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        sockets = [connect(listener, stack) for _ in range(BEFORE + COUNTED)]
        handlers = [Own() for _ in sockets]
        manager = WebSocketManager()
        manager.start()
        stack.callback(manager.stop)

        def attach(start: int, end: int) -> None:
            for sock, handler in zip(sockets[start:end], handlers[start:end], strict=True):
                transport, sink = take(sock)
                manager.attach(handler, transport)
                sink.close()
            wait_for(lambda: Own.told == end, what="opened()")
            gc.collect()

        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        attach(0, BEFORE)
        before = tracemalloc.get_traced_memory()[0]
        attach(BEFORE, BEFORE + COUNTED)
        after = tracemalloc.get_traced_memory()[0]
        each = (after - before) / COUNTED
        assert len(manager) == BEFORE + COUNTED
        assert each < MOST, f"{each:.0f} bytes"
