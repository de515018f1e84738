from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware.core.masking import apply_mask, rotate_key

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
