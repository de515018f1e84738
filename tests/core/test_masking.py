from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.twins import load_pure, outcome
from ws4py_middleware.core import masking
from ws4py_middleware.core.masking import apply_mask, rotate_key, unmask, unmask_in_place

pure = load_pure(masking)

keys = st.binary(min_size=4, max_size=4)


def xor(data: bytes, key: bytes) -> bytes:
    """RFC 6455 section 5.3: octet i becomes the XOR of octet i and octet i mod 4 of the key."""
    return bytes(octet ^ key[i % 4] for i, octet in enumerate(data))


def test_apply_mask_example_of_the_rfc() -> None:
    # Section 5.7: a single-frame masked text message, "Hello".
    key = bytes.fromhex("37fa213d")
    assert apply_mask(b"Hello", key) == bytes.fromhex("7f9f4d5158")
    assert apply_mask(bytes.fromhex("7f9f4d5158"), key) == b"Hello"


@pytest.mark.parametrize("base", [0, 124, 4096, 65536])
def test_apply_mask_every_length_around_each_way_of_doing_it(base: int) -> None:
    source = random.Random(base)
    for size in range(max(0, base - 9), base + 10):
        data, key = source.randbytes(size), source.randbytes(4)
        assert apply_mask(data, key) == xor(data, key)


def test_apply_mask_every_byte_with_every_key() -> None:
    everything = bytes(range(256))
    for byte in range(256):
        expected = bytes(octet ^ byte for octet in everything)
        assert apply_mask(everything, bytes([byte] * 4)) == expected
        assert apply_mask(everything * 32, bytes([byte] * 4)) == expected * 32


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [0, 1, 5, 5000])
def test_apply_mask_any_kind_of_buffer_gives_bytes_and_is_not_modified(kind: Any, size: int) -> None:
    data = random.Random(size).randbytes(size)
    buffer = kind(data)
    masked = apply_mask(buffer, b"\x01\x02\x03\x04")
    assert type(masked) is bytes
    assert masked == xor(data, b"\x01\x02\x03\x04")
    assert buffer == data


def test_apply_mask_a_slice_with_steps_is_taken_as_the_bytes_it_shows() -> None:
    view = memoryview(bytes(range(256)) * 64)[::2]
    assert apply_mask(view, b"abcd") == xor(view.tobytes(), b"abcd")
    assert apply_mask(view[:100], b"abcd") == xor(view[:100].tobytes(), b"abcd")


@pytest.mark.parametrize("way", ["mask_by_strides", "mask_by_words"])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_ways_of_either_interpreter_do_the_same(way: str, kind: Any) -> None:
    for size in (*range(20), 511, 512, 4099):
        source = random.Random(size)
        data, key = source.randbytes(size), source.randbytes(4)
        masked = getattr(pure, way)(kind(data), key)
        assert type(masked) is bytes
        assert masked == xor(data, key)


@given(st.binary(max_size=300), keys)
def test_apply_mask_twice_gives_the_payload_back(data: bytes, key: bytes) -> None:
    assert apply_mask(data, key) == xor(data, key)
    assert apply_mask(apply_mask(data, key), key) == data


@pytest.mark.parametrize(
    ("offset", "key"),
    [
        (0, b"abcd"),
        (1, b"bcda"),
        (2, b"cdab"),
        (3, b"dabc"),
        (4, b"abcd"),
        (65_537, b"bcda"),
        (2**40 + 2, b"cdab"),
    ],
)
def test_rotate_key_begins_at_the_offset(offset: int, key: bytes) -> None:
    assert rotate_key(b"abcd", offset) == key


@given(st.binary(max_size=9000), keys, st.integers(0, 9000))
def test_rotate_key_a_payload_in_two_parts_is_as_in_one(data: bytes, key: bytes, cut: int) -> None:
    cut = min(cut, len(data))
    parts = apply_mask(data[:cut], key) + apply_mask(data[cut:], rotate_key(key, cut))
    assert parts == xor(data, key)


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde"])
def test_apply_mask_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match=f"a mask key has four bytes, not {len(key)}"):
        apply_mask(b"Hello", key)
    with pytest.raises(ValueError, match="a mask key has four bytes"):
        unmask_in_place(bytearray(5), 0, 5, key)


# --- a part of a read buffer ---------------------------------------------------------


@pytest.mark.parametrize("start", range(4, 21))
def test_unmask_every_length_wherever_it_begins(start: int) -> None:
    for size in (*range(40), 511, 512, 513, 4099):
        data = random.Random(size).randbytes(start + size + 9)
        payload = unmask(data, start, start + size)
        assert type(payload) is bytes
        assert payload == xor(data[start : start + size], data[start - 4 : start])


@pytest.mark.parametrize(("start", "stop"), [(3, 5), (0, 0), (-1, 4), (5, 4), (4, 11), (12, 12), (4, 2**60)])
def test_unmask_what_is_not_there_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=f"there is no payload from {start} to {stop} in 10 bytes"):
        unmask(bytes(10), start, stop)


def test_unmask_leaves_the_objects_alone_that_everybody_has() -> None:
    for byte in range(256):
        assert unmask(bytes([1, 2, 3, 4, byte]), 4, 5) == bytes([byte ^ 1])
    assert unmask(b"1234", 4, 4) == b""
    assert [bytes([byte])[0] for byte in range(256)] == list(range(256))


@pytest.mark.parametrize("as_view", [False, True])
@pytest.mark.parametrize("start", range(9))
def test_unmask_in_place_changes_that_part_and_no_other(start: int, as_view: bool) -> None:
    for size in (*range(20), 512, 1003):
        data = random.Random(size).randbytes(start + size + 5)
        room = bytearray(data)
        unmask_in_place(memoryview(room) if as_view else room, start, start + size, b"abcd")
        assert room[:start] == data[:start]
        assert room[start : start + size] == xor(data[start : start + size], b"abcd")
        assert room[start + size :] == data[start + size :]


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3), (0, 11), (11, 11)])
def test_unmask_in_place_what_is_not_there_is_refused(start: int, stop: int) -> None:
    room = bytearray(10)
    with pytest.raises(ValueError, match=f"there is nothing from {start} to {stop} in 10 bytes"):
        unmask_in_place(room, start, stop, b"abcd")
    assert room == bytes(10)


def test_unmask_in_place_what_must_not_be_written_is_refused() -> None:
    with pytest.raises((TypeError, BufferError)):
        unmask_in_place(memoryview(b"0123456789"), 0, 4, b"abcd")


# --- two builds ----------------------------------------------------------------------


@given(st.binary(max_size=600), st.integers(-2, 600), st.integers(-2, 600), keys)
def test_both_builds_do_the_same(data: bytes, start: int, stop: int, key: bytes) -> None:
    assert outcome(unmask, data, start, stop) == outcome(pure.unmask, data, start, stop)
    assert apply_mask(data, key) == pure.apply_mask(data, key)
    assert rotate_key(key, abs(start)) == pure.rotate_key(key, abs(start))
    ours, theirs = bytearray(data), bytearray(data)
    assert outcome(unmask_in_place, ours, start, stop, key) == outcome(
        pure.unmask_in_place, theirs, start, stop, key
    )
    assert ours == theirs
