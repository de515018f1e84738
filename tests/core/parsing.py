"""Bytes for a parser, and what it makes of them however they are cut."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from tests.core.codec import codec
from tests.core.wire import (
    KEY,
    build_frame,
    cut,
    describe,
)
from ws4py_middleware.core.parser import Parser
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.types import Side

POLICY = Policy()
CLIENT, SERVER = Side.CLIENT, Side.SERVER
KiB, MiB = 1024, 1024 * 1024

Events = Sequence[tuple[object, ...]]


def feed_all(parser: Parser, pieces: Iterable[bytes]) -> Events:
    """Feed pieces, and go on after each until nothing more is there."""
    events = []
    for piece in pieces:
        events += parser.feed(piece)
        while parser.has_more:
            events += parser.feed(b"")
    return [describe(event) for event in events]


def has_more(parser: Parser) -> bool:
    return parser.has_more


def get_code(parser: Parser) -> int | None:
    return None if parser.error is None else parser.error.close_code


def check(
    wire: bytes,
    expected: Events,
    code: int | None = None,
    *,
    side: Side = SERVER,
    policy: Policy = POLICY,
    compressed: bool = False,
) -> None:
    """Check that bytes give these events and this error: whole, byte by byte, and at random splits."""
    generator = random.Random(len(wire))
    splits = [[wire], cut(wire, *range(1, len(wire)))]
    for _ in range(20):
        count = generator.randint(1, 8)
        splits.append(cut(wire, *(generator.randint(0, len(wire)) for _ in range(count))))
    for small in (policy, policy.replace(turn_frames=1), policy.replace(receive_queue_size=0)):
        for split in splits:
            parser = Parser(side, small, codec() if compressed else None)
            assert feed_all(parser, split) == expected
            assert get_code(parser) == code
            assert not parser.has_more


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    return build_frame(opcode, payload, fin=fin, rsv=rsv, key=KEY)
