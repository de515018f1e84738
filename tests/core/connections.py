"""One connection whose peer, network and clock are the test."""

from __future__ import annotations

from tests.core.codec import codec
from tests.core.wire import CLOSE, KEY, build_frame, describe, joined, read_frames
from ws4py_middleware.core.connection import Connection
from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.core.types import Side, State

POLICY = Policy()
#: No timers of its own, so that only those under test are there.
QUIET = Policy(ping_interval=None, ping_timeout=None, write_timeout=None)


def make_server(policy: Policy = POLICY, *, keep: bool | None = None, now: float = 0.0) -> Connection:
    extensions = [] if keep is None else [make_deflate(keep)]
    return Connection(Side.SERVER, policy, extensions, now=now)


def make_client(policy: Policy = POLICY, *, keep: bool | None = None) -> Connection:
    extensions = [] if keep is None else [make_deflate(keep)]
    return Connection(Side.CLIENT, policy, extensions, make_mask_key=lambda: KEY)


def make_deflate(keep: bool) -> Deflate:
    return codec(DeflateOptions(threshold=16), 12, keep)


def give(
    connection: Connection, opcode: int, payload: bytes = b"", now: float = 0.0, *, fin: bool = True
) -> None:
    """Bring a frame of the peer."""
    key = KEY if connection.side is Side.SERVER else None
    connection.receive_data(build_frame(opcode, payload, fin=fin, key=key), now)


def give_close(connection: Connection, code: int = 1000, reason: bytes = b"", now: float = 0.0) -> None:
    give(connection, CLOSE, code.to_bytes(2, "big") + reason, now)


def take(connection: Connection) -> list[tuple[object, ...]]:
    """Take all events that are there."""
    events = []
    while (event := connection.next_event()) is not None:
        events.append(describe(event))
    return events


def send(connection: Connection, now: float = 0.0) -> bytes:
    """Let the network take everything."""
    wire = b""
    while data := connection.data_to_send():
        wire += joined(data)
        connection.data_sent(len(joined(data)), now)
    assert connection.queued == 0
    return wire


def send_firsts(connection: Connection, now: float = 0.0) -> list[int]:
    """Let the network take everything, and return the first byte of each frame."""
    return [first for first, _ in read_frames(send(connection, now))]


# What is asked more than once in a test; mypy would take the first answer for the last.


def get_state(connection: Connection) -> State:
    return connection.state


def is_finished(connection: Connection) -> bool:
    return connection.finished


def half_close(connection: Connection) -> bool:
    return connection.half_close


def has_more(connection: Connection) -> bool:
    return connection.has_more


def has_events(connection: Connection) -> bool:
    return connection.has_events
