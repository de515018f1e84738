"""How long the parsers take, in this process: no socket, no handler, no system call."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

from benchmarks.machine import version_of
from benchmarks.results import Sample

__all__ = ["CASES", "PARSERS", "available", "masked_frame", "measure_parser"]

READ = 64 * 1024  # what one read of a socket brings
SMALL = 32
Feed = Callable[[bytes], int]  # takes bytes, returns how many messages they completed


def masked_frame(payload: bytes, key: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    r"""
    Return a client's text frame; written anew here so that nobody is measured with their own help.

    >>> masked_frame(b"Hello").hex()
    '818537fa213d7f9f4d5158'
    """
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x81, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x81, 0xFE, size)
    else:
        head = struct.pack("!BBQ", 0x81, 0xFF, size)
    return head + key + bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))


def _text(size: int) -> bytes:
    return bytes(islice(cycle(range(33, 127)), size))


# The name of a case -> its title, the bytes of it, the messages in it.
CASES: dict[str, tuple[str, Callable[[], bytes], int]] = {
    "small": (
        "64 KiB of 32 B messages",
        lambda: masked_frame(_text(SMALL)) * (READ // (SMALL + 6)),
        READ // (SMALL + 6),
    ),
    "one64K": ("one message of 64 KiB", lambda: masked_frame(_text(64 * 1024)), 1),
    "one1M": ("one message of 1 MiB", lambda: masked_frame(_text(2**20)), 1),
}


def _ours() -> Feed:
    from ws4py_middleware.core.connection import Connection
    from ws4py_middleware.core.events import MessageReceived
    from ws4py_middleware.core.policy import Policy
    from ws4py_middleware.core.types import Side

    connection = Connection(Side.SERVER, Policy(max_message_size=16 * 2**20))

    def feed(data: bytes) -> int:
        # As a driver does: a turn's worth of frames, their events, and again while there is more.
        messages = 0
        while True:
            connection.receive_data(data, 0.0)
            while (event := connection.next_event()) is not None:
                messages += event.__class__ is MessageReceived
            if not connection.has_more:
                return messages
            data = b""

    return feed


def _websockets() -> Feed:
    from websockets.protocol import SERVER, Protocol

    protocol = Protocol(SERVER, max_size=16 * 2**20)

    def feed(data: bytes) -> int:
        protocol.receive_data(data)
        return sum(getattr(event, "fin", False) for event in protocol.events_received())

    return feed


def _wsproto() -> Feed:
    from wsproto.connection import Connection, ConnectionType
    from wsproto.events import Message

    connection = Connection(ConnectionType.SERVER)

    def feed(data: bytes) -> int:
        connection.receive_data(data)
        events = connection.events()
        return sum(isinstance(event, Message) and event.message_finished for event in events)

    return feed


def _ws4py() -> Feed:
    from ws4py.streaming import Stream

    stream: Any = Stream()
    rest = b""
    wanted = 2

    def feed(data: bytes) -> int:
        # Its parser must get exactly what it asks for: it drops what is more.
        nonlocal rest, wanted
        messages, at, rest = 0, 0, rest + data
        while len(rest) - at >= wanted:
            part = rest[at : at + wanted]
            at += wanted
            wanted = stream.parser.send(part) or 2
            if stream.has_message:
                stream.message = None
                messages += 1
        rest = rest[at:]
        return messages

    return feed


# The name of a parser -> its title, the distribution it comes in, and what makes a fresh one.
PARSERS: dict[str, tuple[str, str | None, Callable[[], Feed]]] = {
    "parser-ours": ("**ours**: `core.Connection`, whole messages, UTF-8 checked", None, _ours),
    "parser-websockets": (
        "websockets: `Protocol` with its C extension, frames, not decoded",
        "websockets",
        _websockets,
    ),
    "parser-wsproto": ("wsproto: `Connection` (simple-websocket), decoded", "wsproto", _wsproto),
    "parser-ws4py": ("ws4py: `Stream`, decoded", "ws4py", _ws4py),
}


def available(name: str) -> bool:
    """Say whether the parser `name` can be imported here."""
    _, distribution, make = PARSERS[name]
    if distribution is not None:
        return version_of(distribution) is not None
    try:
        make()
    except ImportError:
        return False
    return True


def _time(feed: Feed, data: bytes, messages: int, seconds: float) -> float:
    """Feed `data` for about `seconds`; return the CPU seconds that one time takes."""
    reads = [data[at : at + READ] for at in range(0, len(data), READ)]
    times = 0
    began = time.process_time()
    while True:
        found = sum(map(feed, reads))
        if found != messages:
            raise AssertionError(f"{found} messages of {messages}")
        times += 1
        taken = time.process_time() - began
        if taken >= seconds:
            return taken / times


def measure_parser(name: str, case: str, seconds: float) -> Sample:
    """Time a parser on a case: ``us`` and ``mb_per_second``."""
    _, make_data, messages = CASES[case]
    data = make_data()
    taken = _time(PARSERS[name][2](), data, messages, seconds)
    return Sample(case, name, {"us": taken * 1e6, "mb_per_second": len(data) / taken / 1e6})
