"""How a client leaves: each way is a function that comes, and leaves so."""

from __future__ import annotations

from tests.promises.attacker import Peer, ask, upgrade
from tests.promises.wire import BINARY, NO_KEY, TEXT, close_frame, frame, request
from tests.servers import Server

__all__ = ["WAYS"]


def leave_by_close(server: Server) -> None:
    with upgrade(server) as peer:
        peer.send(close_frame(1000))
        peer.read_to_close()


def leave_by_close_unread(server: Server) -> None:
    with upgrade(server) as peer:
        peer.send(frame(TEXT, b"x" * 1000) + close_frame(1000))


def leave_by_reset(server: Server) -> None:
    upgrade(server).reset()


def leave_by_end(server: Server) -> None:
    upgrade(server).sock.close()


def leave_amid_a_message(server: Server) -> None:
    with upgrade(server) as peer:
        peer.send(frame(BINARY, bytes(1000), length=5000))


def leave_amid_the_handshake(server: Server) -> None:
    with Peer(server.connect()) as peer:
        peer.send(request("/echo"))
        peer.reset()


def leave_refused(server: Server) -> None:
    ask(server, request("/echo", {"Sec-WebSocket-Key": "x"}))


def leave_for_a_broken_rule(server: Server) -> None:
    with upgrade(server) as peer:
        peer.send(frame(0xF))
        peer.expect_close(1002)


def leave_stuck(server: Server) -> None:
    with upgrade(server, receive_buffer=4096) as peer:
        peer.flood(frame(BINARY, bytes(60_000), key=NO_KEY), seconds=0.02)


def leave_a_function(server: Server) -> None:
    with upgrade(server, "/function") as peer:
        peer.echo()


def leave_a_function_stuck(server: Server) -> None:
    with upgrade(server, "/function", receive_buffer=4096) as peer:
        peer.flood(frame(BINARY, bytes(60_000), key=NO_KEY), seconds=0.02)


def leave_a_room(server: Server) -> None:
    upgrade(server, "/room/x").reset()


def leave_flooded(server: Server) -> None:
    with upgrade(server, "/command", receive_buffer=4096) as peer:
        peer.send(frame(TEXT, b"flood 100"))


WAYS = [
    leave_by_close,
    leave_by_close_unread,
    leave_by_reset,
    leave_by_end,
    leave_amid_a_message,
    leave_amid_the_handshake,
    leave_refused,
    leave_for_a_broken_rule,
    leave_stuck,
    leave_a_function,
    leave_a_function_stuck,
    leave_a_room,
    leave_flooded,
]
