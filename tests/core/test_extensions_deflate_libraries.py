"""core.extensions.deflate: ends that use different libraries, and what connections share."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.codec import ALWAYS, MIB, codec, decode, encode
from ws4py_middleware.core.connection import Connection
from ws4py_middleware.core.events import MessageReceived
from ws4py_middleware.core.extensions.deflate import Deflate, DeflateFactory
from ws4py_middleware.core.extensions.zlibs import Library, get_libraries
from ws4py_middleware.core.headers import Param
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.types import Side
from ws4py_middleware.exc import FrameTooLargeException, InvalidBytesError

LIBRARIES = get_libraries()

pytestmark = pytest.mark.parametrize(("sender", "receiver"), [*product(LIBRARIES, repeat=2)])

payloads = st.binary(max_size=200) | st.builds(
    lambda data, times: data * times, st.binary(min_size=1, max_size=200), st.integers(1, 500)
)


def split(data: bytes, cuts: list[float]) -> Iterator[tuple[bytes, bool]]:
    positions = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    for number, (start, stop) in enumerate(pairwise(positions)):
        yield data[start:stop], number == len(cuts)


@given(
    bits=st.integers(8, 15),
    level=st.integers(-1, 9),
    mem_level=st.integers(1, 9),
    keep=st.booleans(),
    messages=st.lists(
        st.tuples(payloads, st.lists(st.floats(0, 1), max_size=3), st.lists(st.floats(0, 1), max_size=3)),
        max_size=6,
    ),
)
def test_ends_any_messages_fragments_and_splits_arrive(
    sender: str,
    receiver: str,
    bits: int,
    level: int,
    mem_level: int,
    keep: bool,
    messages: list[tuple[bytes, list[float], list[float]]],
) -> None:
    options = DeflateOptions(level=level, mem_level=mem_level, threshold=0)
    here = codec(options, bits, keep, LIBRARIES[sender])
    there = codec(options, bits, keep, LIBRARIES[receiver])
    for payload, fragments, cuts in messages:
        wire = b"".join(here.encode_fragment(part, fin) for part, fin in split(payload, fragments))
        received = b""
        for frame, fin in split(wire, cuts):
            received += there.decode_frame(frame, fin, len(payload) - len(received))
        assert received == payload


@given(payload=payloads, limit=st.integers(0, 1000), keep=st.booleans())
def test_ends_agree_on_what_is_too_large(
    sender: str, receiver: str, payload: bytes, limit: int, keep: bool
) -> None:
    wire = encode(codec(keep=keep, library=LIBRARIES[sender]), payload)
    there = codec(keep=keep, library=LIBRARIES[receiver])
    if len(payload) <= limit:
        assert decode(there, wire, limit) == payload
    else:
        with pytest.raises(FrameTooLargeException):
            decode(there, wire, limit)


def test_ends_nothing_of_another_connection_is_to_be_found(sender: str, receiver: str) -> None:
    """Compressors go from connection to connection, windows do not."""
    options = DeflateOptions(threshold=0, level=9)
    secret = bytes(range(256)) * 2
    alone = encode(codec(options, keep=False, library=LIBRARIES[sender]), secret)
    for _ in range(3):
        again = encode(codec(options, keep=False, library=LIBRARIES[sender]), secret)
        assert again == alone
        assert decode(codec(library=LIBRARIES[receiver]), again) == secret
    # A peer that asks for what it was not sent gets nothing either.
    packer = zlib.compressobj(9, wbits=-15)
    first, second = (packer.compress(secret) + packer.flush(zlib.Z_SYNC_FLUSH) for _ in range(2))
    other = codec(keep=False, library=LIBRARIES[receiver])
    assert decode(other, first[:-4]) == secret
    for peer in (other, codec(keep=False, library=LIBRARIES[receiver])):
        with pytest.raises(InvalidBytesError):
            decode(peer, second[:-4])


def test_ends_threads_that_share_compressors_do_not_meet(sender: str, receiver: str) -> None:
    def talk(number: int) -> bool:
        here = codec(keep=False, library=LIBRARIES[sender])
        there = codec(keep=False, library=LIBRARIES[receiver])
        texts = [b"%d and %d, " % (number, turn) * (100 + turn) for turn in range(50)]
        return all(decode(there, encode(here, text)) == text for text in texts)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(talk, range(16)))


class Counting(Library):
    """A library that counts how often something is compressed."""

    __slots__ = ("count",)

    def __init__(self, library: Library) -> None:
        module: Any = library
        super().__init__(library.name, module)
        self.count = 0

    def take_compressor(self, *kind: int) -> Any:
        self.count += 1
        return super().take_compressor(*kind)


def accept(offer: list[Param], options: DeflateOptions, library: Library) -> Deflate:
    """What a server agrees on with a client that offers this; the codec with a library of the test's."""
    accepted = DeflateFactory(options, library).accept(offer)
    assert accepted is not None
    return accepted[0]


def test_broadcast_is_compressed_once_for_all_that_share(sender: str, receiver: str) -> None:
    counting = Counting(LIBRARIES[sender])
    options = DeflateOptions(shared=True)
    offers = [
        [Param("client_max_window_bits", None)],
        [],
        [Param("server_no_context_takeover", None)],
        [Param("client_no_context_takeover", None), Param("server_max_window_bits", "15")],
    ]
    members = [
        Connection(Side.SERVER, Policy(), [accept(offers[number % 4], options, counting)], now=0.0)
        for number in range(1000)
    ]
    clients = [
        Connection(Side.CLIENT, Policy(), [codec(ALWAYS, 12, number % 2 == 0, LIBRARIES[receiver])], now=0.0)
        for number in range(4)
    ]
    for turn in range(1, 4):
        text = b'{"turn": %d, "prices": [1, 2, 3, 4]}' % turn * 20
        message = PreparedMessage(text, True)
        wires = set()
        for member in members:
            member.send_prepared(message)
            wire = b"".join([member.data_to_send()])
            member.data_sent(len(wire), 0.0)
            wires.add(wire)
        assert counting.count == turn, "once for each broadcast"
        (wire,) = wires
        assert len(wire) < len(text) / 2
        for client in clients:
            client.receive_data(wire, 0.0)
            event = client.next_event()
            assert isinstance(event, MessageReceived)
            assert event.data == text


def test_broadcast_has_one_frame_for_each_window_and_one_without(sender: str, receiver: str) -> None:
    counting = Counting(LIBRARIES[sender])
    shared = DeflateOptions(shared=True)
    small = [Param("server_max_window_bits", "9")]
    members = [
        *(accept([], shared, counting) for _ in range(3)),
        *(accept(small, shared, counting) for _ in range(3)),
        *(accept([], DeflateOptions(), counting) for _ in range(3)),
    ]
    message = PreparedMessage(b"to all, " * 100, False)
    wires = []
    for member in members:
        connection = Connection(Side.SERVER, Policy(), [member], now=0.0)
        connection.send_prepared(message)
        wires.append(b"".join([connection.data_to_send()]))
    assert counting.count == 2
    assert [len(set(wires[start : start + 3])) for start in (0, 3, 6)] == [1, 1, 1]
    assert message.data in wires[-1]
    for member, wire in zip(members[:6], wires, strict=False):
        assert decode(codec(library=LIBRARIES[receiver]), wire[2 if len(wire) < 128 else 4 :]) == message.data
        assert member.share_key == members[0 if member in members[:3] else 3].share_key


def test_contexts_are_there_from_the_first_message_that_needs_them(sender: str, receiver: str) -> None:
    here = codec(DeflateOptions(), library=LIBRARIES[sender])
    there = codec(DeflateOptions(), library=LIBRARIES[receiver])
    assert here.encode_message(b"short") is None
    assert repr([here._compressor, here._decompressor]) == "[None, None]"
    wire = encode(here, b"long enough, " * 50)
    assert here._compressor is not None
    assert repr([here._decompressor, there._decompressor]) == "[None, None]"
    decode(there, wire, MIB)
    assert there._decompressor is not None
    assert there._compressor is None
