"""core.packing: the bytes of a frame; what stands in them is in ``test_frames.py``, too."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.twins import load_pure, outcome
from ws4py_middleware.core import packing
from ws4py_middleware.core.packing import pack, pack_head
from ws4py_middleware.exc import FrameTooLargeException

pure = load_pure(packing)
KEY = bytes.fromhex("37fa213d")


def expected(first: int, payload: bytes, key: bytes | None) -> bytes:
    """RFC 6455 section 5.2, written down once more."""
    bit = 0 if key is None else 0x80
    size = len(payload)
    if size <= 125:
        head = struct.pack("!BB", first, bit | size)
    elif size <= 65535:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if key is None:
        return head + payload
    return head + key + bytes(octet ^ key[i % 4] for i, octet in enumerate(payload))


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("first", [0x81, 0x82, 0x02, 0x80, 0xC1, 0x88, 0x89])
def test_pack_writes_the_shortest_head_and_the_payload(first: int, key: bytes | None) -> None:
    for size in (*range(20), 125, 126, 127, 65535, 65536):
        payload = random.Random(size).randbytes(size)
        frame = pack(first, payload, key)
        assert type(frame) is bytes
        assert frame == expected(first, payload, key)
        assert pack_head(first, size, key) == frame[: len(frame) - size]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_pack_any_kind_of_buffer(kind: Any) -> None:
    assert pack(0x81, kind(b"Hello")) == b"\x81\x05Hello"
    assert pack(0x81, kind(b"Hello"), KEY) == expected(0x81, b"Hello", KEY)


def test_pack_what_does_not_fit_is_refused() -> None:
    assert pack_head(0x82, 2**63 - 1) == b"\x82\x7f\x7f" + b"\xff" * 7
    with pytest.raises(FrameTooLargeException, match="does not fit into one frame"):
        pack_head(0x82, 2**63)
    with pytest.raises(ValueError, match="a mask key has four bytes, not 3"):
        pack(0x82, b"Hello", b"abc")


@given(st.integers(0, 255), st.binary(max_size=300), st.none() | st.binary(min_size=4, max_size=4))
def test_both_builds_pack_the_same(first: int, payload: bytes, key: bytes | None) -> None:
    assert outcome(pack, first, payload, key) == outcome(pure.pack, first, payload, key)
    assert outcome(pack_head, first, len(payload), key) == outcome(pure.pack_head, first, len(payload), key)


@given(
    st.lists(
        st.tuples(st.sampled_from([0x81, 0x82, 0xC1]), st.sampled_from([0, 1, 125, 126, 65535, 65536])),
        max_size=4,
    )
)
def test_batch_has_the_same_frames_joined_and_each_by_itself(messages: list[tuple[int, int]]) -> None:
    frames = [expected(first, bytes(size), None) for first, size in messages]
    for module in (packing, pure):
        batch = module.take_batch()
        for _ in range(2):
            assert [batch.add(first, bytes(size)) for first, size in messages] == [len(f) for f in frames]
            assert batch.size == sum(map(len, frames))
            assert batch.split() == frames
            assert batch.size == 0
        for first, size in messages:
            batch.add(first, bytes(size))
        assert batch.take() == b"".join(frames)
        assert batch.size == 0
        module.give_batch(batch)


def test_batch_that_was_given_back_is_empty_and_given_to_one_alone() -> None:
    for module in (packing, pure):
        first = module.take_batch()
        module.give_batch(first)
        one, other = module.take_batch(), module.take_batch()
        assert one is not other
        assert one.size == other.size == 0
        with pytest.raises(TypeError):
            one.add(0x81, None)
        # Of two that are given back, one is kept.
        module.give_batch(one)
        module.give_batch(other)
        kept = module.take_batch()
        assert kept is one or kept is other
        assert module.take_batch() is not kept
