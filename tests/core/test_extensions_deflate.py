"""core.extensions.deflate: the codec, on the vectors of RFC 7692 and on anything else, with each library."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.codec import MIB, codec, decode, encode, libraries
from tests.core.memory import trace_memory
from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.extensions.zlibs import Library, get_libraries
from ws4py_middleware.core.policy import DeflateOptions
from ws4py_middleware.exc import FrameTooLargeException, InvalidBytesError

TAIL = b"\x00\x00\xff\xff"

# The payloads of RFC 7692 section 7.2.3; all say "Hello".
HELLO = bytes.fromhex("f248cdc9c90700")
HELLO_AGAIN = bytes.fromhex("f200110000")  # 7.2.3.2, refers to the message before
HELLO_STORED = bytes.fromhex("000500faff48656c6c6f00")  # 7.2.3.3
HELLO_FINAL = bytes.fromhex("f348cdc9c9070000")  # 7.2.3.4, BFINAL is set
HELLO_TWO_BLOCKS = bytes.fromhex("f248050000 00ffff cac9c90700")  # 7.2.3.5


@pytest.fixture(autouse=True, scope="module", params=get_libraries())
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    """All tests of this module run with each library that is installed."""
    libraries.append(get_libraries()[request.param])
    yield libraries[-1]
    libraries.pop()


# --- decoding: the vectors of the RFC ----------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("payload", [HELLO, HELLO_STORED, HELLO_FINAL, HELLO_TWO_BLOCKS])
def test_decode_examples_of_the_rfc(payload: bytes, keep: bool) -> None:
    extension = codec(keep=keep)
    assert [decode(extension, payload) for _ in range(3)] == [b"Hello"] * 3


@pytest.mark.parametrize("payload", [HELLO, HELLO_STORED, HELLO_FINAL, HELLO_TWO_BLOCKS])
def test_decode_examples_of_the_rfc_cut_anywhere(payload: bytes) -> None:
    for first in range(len(payload) + 1):
        for second in range(first, len(payload) + 1):
            extension = codec()
            for _ in range(2):
                parts = [
                    extension.decode_frame(payload[:first], False, MIB),
                    extension.decode_frame(payload[first:second], False, MIB),
                    extension.decode_frame(payload[second:], True, MIB),
                ]
                assert b"".join(parts) == b"Hello"


def test_decode_context_takeover_example_of_the_rfc() -> None:
    extension = codec()
    assert decode(extension, HELLO) == b"Hello"
    assert decode(extension, HELLO_AGAIN) == b"Hello"


def test_decode_without_context_takeover_there_is_nothing_to_refer_to() -> None:
    extension = codec(keep=False)
    assert decode(extension, HELLO) == b"Hello"
    with pytest.raises(InvalidBytesError):
        decode(extension, HELLO_AGAIN)


@pytest.mark.parametrize("keep", [True, False])
def test_decode_the_message_after_a_final_block_is_exact(keep: bool) -> None:
    extension = codec(keep=keep)
    for payload in (HELLO, HELLO_FINAL, HELLO, HELLO_FINAL, HELLO_FINAL, HELLO_STORED, HELLO_TWO_BLOCKS):
        assert decode(extension, payload) == b"Hello"


@pytest.mark.parametrize("keep", [True, False])
def test_decode_a_final_block_with_nothing_behind_it_is_taken_too(keep: bool) -> None:
    # What zlib gives with Z_FINISH, without the byte that the RFC adds.
    finish = zlib.compressobj(wbits=-15)
    payload = finish.compress(b"Hello") + finish.flush(zlib.Z_FINISH)
    extension = codec(keep=keep)
    for _ in range(3):
        assert decode(extension, payload) == b"Hello"
        assert decode(extension, HELLO) == b"Hello"


def test_decode_final_blocks_in_the_middle_of_a_message() -> None:
    payload = HELLO_FINAL[:-1] + HELLO_FINAL[:-1] + HELLO
    extension = codec()
    assert decode(extension, payload) == b"HelloHelloHello"
    assert extension.decode_frame(HELLO_FINAL[:-1], False, MIB) == b"Hello"
    assert extension.decode_frame(b"", False, MIB) == b""
    assert extension.decode_frame(HELLO_FINAL[:-1], True, MIB) == b"Hello"
    assert extension.decode_frame(HELLO_FINAL[:-1], False, MIB) == b"Hello"
    assert extension.decode_frame(b"", True, MIB) == b""
    assert decode(extension, HELLO) == b"Hello"


def test_decode_empty_messages() -> None:
    extension = codec()
    assert decode(extension, HELLO) == b"Hello"
    assert decode(extension, b"\x00") == b""  # section 7.2.3.6
    assert decode(extension, b"") == b""  # not in the RFC; it must not break what follows
    assert extension.decode_frame(b"", False, MIB) == b""
    assert extension.decode_frame(b"", True, MIB) == b""
    assert decode(extension, b"\x02\x00") == b""
    assert decode(extension, HELLO_AGAIN) == b"Hello"


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_decode_any_kind_of_buffer(kind: Any) -> None:
    extension = codec()
    assert extension.decode_frame(kind(HELLO[:3]), False, MIB) + extension.decode_frame(
        kind(HELLO[3:]), True, MIB
    ) == (b"Hello")


# --- decoding: limits --------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [HELLO, HELLO_STORED, HELLO_FINAL, HELLO_TWO_BLOCKS])
@pytest.mark.parametrize("keep", [True, False])
def test_decode_the_limit_is_inclusive(payload: bytes, keep: bool) -> None:
    assert decode(codec(keep=keep), payload, 5) == b"Hello"
    assert decode(codec(keep=keep), payload, None) == b"Hello"
    for limit in range(5):
        with pytest.raises(FrameTooLargeException) as caught:
            decode(codec(keep=keep), payload, limit)
        assert caught.value.close_code == 1009


def test_decode_nothing_is_left_to_take_and_nothing_comes() -> None:
    assert decode(codec(), b"\x00", 0) == b""


@pytest.mark.parametrize("size", [257, 258, 259, 32767, 32768, 32769, MIB])
def test_decode_the_limit_is_exact_at_any_size(size: int) -> None:
    payload = encode(codec(), bytes(size))
    assert decode(codec(), payload, size) == bytes(size)
    with pytest.raises(FrameTooLargeException):
        decode(codec(), payload, size - 1)


@pytest.mark.cpython
def test_decode_a_bomb_is_stopped_while_it_inflates() -> None:
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(256)) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < MIB
    extension = codec()
    with trace_memory() as measure:
        before = measure()[0]
        started = time.process_time()
        with pytest.raises(FrameTooLargeException):
            decode(extension, bomb, MIB)
        spent = time.process_time() - started
        peak = measure()[1] - before
    # P4: at most twice the limit, together with what was received; it is not copied.
    assert peak < MIB + 5 * 65536
    assert spent < 0.5


@pytest.mark.parametrize("size", [65535, 65536, 65537, 131072, 3 * MIB])
@pytest.mark.parametrize("level", [0, 9])
def test_decode_streams_of_any_size_end_where_they_end(size: int, level: int) -> None:
    """The end of a stream falls on, before and behind the steps in which it is inflated."""
    data = bytes(range(256)) * (size // 256 + 1)
    packer = zlib.compressobj(level, wbits=-15)
    stream = packer.compress(data[:size]) + packer.flush(zlib.Z_FINISH)
    for behind in (b"", HELLO, HELLO_FINAL):
        message = data[:size] + (b"Hello" if behind else b"")
        assert decode(codec(), stream + behind, None) == message
        assert decode(codec(), stream + behind, len(message)) == message
    extension = codec()
    assert extension.decode_frame(stream, False, None) == data[:size]
    assert extension.decode_frame(b"", True, None) == b""


@pytest.mark.parametrize("tail", [b"", HELLO])
def test_decode_a_flood_of_streams_in_one_frame_is_refused(tail: bytes) -> None:
    flood = b"\x03\x00" * 500_000 + tail
    started = time.process_time()
    with pytest.raises(InvalidBytesError, match="more than 64 streams") as caught:
        decode(codec(), flood)
    assert caught.value.close_code == 1007
    assert time.process_time() - started < 1


def test_decode_some_streams_in_one_frame_are_taken() -> None:
    assert decode(codec(), b"\x03\x00" * 64 + HELLO) == b"Hello"
    with pytest.raises(InvalidBytesError):
        decode(codec(), b"\x03\x00" * 65 + HELLO)


@pytest.mark.parametrize("payload", [b"\x07", b"\xff" * 100, b"\x00\x01\x02\x03\x04\x05", HELLO_AGAIN])
@pytest.mark.parametrize("fin", [True, False])
def test_decode_garbage_is_refused(payload: bytes, fin: bool) -> None:
    with pytest.raises(InvalidBytesError, match="does not inflate") as caught:
        codec().decode_frame(payload, fin, MIB)
    assert caught.value.close_code == 1007


@given(st.lists(st.tuples(st.binary(), st.booleans())), st.none() | st.integers(0, 1000), st.booleans())
def test_decode_any_bytes_are_taken_or_refused(
    frames: list[tuple[bytes, bool]], limit: int | None, keep: bool
) -> None:
    extension = codec(keep=keep)
    for payload, fin in frames:
        try:
            inflated = extension.decode_frame(payload, fin, limit)
        except (InvalidBytesError, FrameTooLargeException):
            return
        assert limit is None or len(inflated) <= limit


# --- encoding ----------------------------------------------------------------------------------------


def test_encode_examples_of_the_rfc() -> None:
    zlibs = get_libraries()["zlib"]  # zlib-ng says the same in other symbols
    extension = codec(library=zlibs)
    assert encode(extension, b"Hello") == HELLO
    assert encode(extension, b"Hello") == HELLO_AGAIN
    extension = codec(keep=False, library=zlibs)
    assert encode(extension, b"Hello") == encode(extension, b"Hello") == HELLO


def test_encode_message_below_the_threshold_is_left_as_it_is() -> None:
    extension = codec(DeflateOptions(threshold=10))
    assert extension.encode_message(b"123456789") is None
    data = encode(extension, b"1234567890")
    assert decode(codec(), data) == b"1234567890"


@pytest.mark.parametrize("keep", [True, False])
def test_encode_empty_messages_are_not_empty_on_the_wire(keep: bool) -> None:
    extension, peer = codec(keep=keep), codec(keep=keep)
    for payload in (b"", b"", b"Hello", b"", b"", b"Hello"):
        data = encode(extension, payload)
        assert data != b""
        assert decode(peer, data) == payload


@pytest.mark.parametrize("keep", [True, False])
def test_encode_fragment_each_can_be_decoded_as_it_comes(keep: bool) -> None:
    extension, peer = codec(keep=keep), codec(keep=keep)
    for fragments in (
        [b"He", b"llo"],
        [b"Hello", b""],
        [b"", b"Hello"],
        [b"", b"", b""],
        [b"x" * 100_000, b"y"],
    ):
        for number, fragment in enumerate(fragments, 1):
            fin = number == len(fragments)
            data = extension.encode_fragment(fragment, fin)
            assert peer.decode_frame(data, fin, MIB) == fragment


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_encode_any_kind_of_buffer(kind: Any) -> None:
    assert codec().encode_message(kind(b"Hello")) == HELLO
    assert codec().encode_fragment(kind(b"Hello"), True) == HELLO


def test_encode_options_reach_the_library(library: Library) -> None:
    text = b"".join(b"%d, " % number for number in range(10_000))
    for level, mem_level in ((0, 9), (1, 9), (9, 9), (9, 1)):
        packer = library.compressobj(level, zlib.DEFLATED, -15, mem_level)
        expected = (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        assert encode(codec(DeflateOptions(level=level, mem_level=mem_level)), text) == expected


@pytest.mark.cpython
def test_codec_contexts_are_made_when_they_are_needed_and_given_back() -> None:
    with trace_memory() as measure:
        before = measure()[0]
        idle = [codec(bits=12) for _ in range(100)]
        assert (measure()[0] - before) / len(idle) < 512
    kept, forgotten = codec(), codec(keep=False)
    for extension in (kept, forgotten):
        decode(extension, encode(extension, b"Hello"))
    assert kept._compressor is not None
    assert kept._decompressor is not None
    assert forgotten._compressor is None
    assert forgotten._decompressor is None


def test_codec_can_be_shared_when_messages_do_not_depend_on_earlier_ones() -> None:
    assert not codec().shareable
    assert codec(keep=False).shareable
    assert codec(keep=False).share_key == codec(keep=False).share_key
    others = [codec(keep=False, bits=12), codec(DeflateOptions(level=1), keep=False)]
    assert codec(keep=False).share_key not in [other.share_key for other in others]
    assert Deflate.name == "permessage-deflate"
    assert Deflate.rsv1 is True


def test_codec_says_what_was_agreed_on() -> None:
    assert repr(codec(bits=12)) == (
        "Deflate(encoder_bits=12, decoder_bits=12, keep_encoder=True, keep_decoder=True)"
    )


# --- round trips -------------------------------------------------------------------------------------


BITS = range(8, 16)


def inflate(payload: bytes, bits: int) -> bytes:
    """Inflate with zlib alone, in a window of exactly so many bits."""
    inflater = zlib.decompressobj(-bits)
    pieces, rest = [], payload + TAIL
    # zlib also refers back to what it has put out in the same call, window or not: so let that be little.
    while piece := inflater.decompress(rest, 16):
        pieces.append(piece)
        rest = inflater.unconsumed_tail
    return b"".join(pieces)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("level", [-1, 0, 1, 6, 9])
def test_encode_never_refers_back_beyond_the_window(bits: int, level: int) -> None:
    # The same 200 bytes, at each distance that a window could be too small for.
    block = bytes(range(200))
    text = b"".join(block + bytes(2**n) for n in range(7, 16)) * 2
    data = encode(codec(DeflateOptions(level=level), bits), text)
    assert inflate(data, bits) == text
    assert decode(codec(bits=bits), data) == text
    if level:
        assert len(data) < len(text) / 4


@pytest.mark.parametrize("bits", BITS)
def test_decode_a_peer_that_refers_back_beyond_the_agreed_window_is_refused(bits: int) -> None:
    block = bytes(range(250))
    packer = zlib.compressobj(9, wbits=-15)
    first, second = (
        (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        for data in (block + bytes(2 ** min(bits + 2, 14)), block)
    )
    extension = codec(bits=bits)
    decode(extension, first)
    if bits == 15:
        assert decode(extension, second) == block
    else:
        with pytest.raises(InvalidBytesError, match="too far back"):
            decode(extension, second)


payloads = st.binary(max_size=300) | st.builds(
    lambda data, times: data * times, st.binary(min_size=1, max_size=20), st.integers(1, 3000)
)


@given(
    bits=st.sampled_from(BITS),
    keep=st.booleans(),
    messages=st.lists(st.tuples(payloads, st.lists(st.floats(0, 1), max_size=4)), max_size=6),
    cuts=st.lists(st.floats(0, 1), max_size=4),
)
def test_codec_messages_survive_any_fragmentation(
    bits: int, keep: bool, messages: list[tuple[bytes, list[float]]], cuts: list[float]
) -> None:
    sender, receiver = codec(bits=bits, keep=keep), codec(bits=bits, keep=keep)
    for payload, splits in messages:
        if splits:
            parts = split(payload, splits)
            wire = b"".join(
                sender.encode_fragment(part, number == len(parts)) for number, part in enumerate(parts, 1)
            )
        else:
            wire = encode(sender, payload)
        received = b""
        frames = split(wire, cuts)
        for number, frame in enumerate(frames, 1):
            received += receiver.decode_frame(frame, number == len(frames), len(payload) - len(received))
        assert received == payload


def split(data: bytes, cuts: list[float]) -> list[bytes]:
    positions = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(positions)]
