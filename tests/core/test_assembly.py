"""core.assembly: pieces of a payload become one, in whichever way they come."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.memory import trace_memory
from tests.core.twins import load_pure
from ws4py_middleware.core import assembly as module
from ws4py_middleware.core.assembly import Assembly
from ws4py_middleware.exc import TextFrameEncodingException

pure = load_pure(module)
KEY = b"\x37\xfa\x21\x3d"
KiB = 1024


def mask(data: bytes, key: bytes = KEY, offset: int = 0) -> bytes:
    return bytes(octet ^ key[(i + offset) % 4] for i, octet in enumerate(data)) if key else data


def fill(
    assembly: Any, data: bytes, key: bytes = b"", offset: int = 0, *, remaining: int | None = None
) -> int:
    """Bring as much of some bytes as there is room for; return how much that was."""
    with assembly.get_room(len(data), len(data) if remaining is None else remaining) as room:
        size = len(room)
        room[:] = data[:size]
    assembly.room_filled(size, key, offset)
    return size


def test_new_assembly_is_empty() -> None:
    assert len(Assembly(False)) == 0
    assert Assembly(True).finish() == b""
    assert Assembly(False).get_part(0) == b""


@pytest.mark.parametrize("key", [b"", KEY])
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5, 7, 8, 9, 100, 999, 1000])
def test_pieces_of_either_kind_are_joined(key: bytes, cut: int) -> None:
    data = random.Random(1).randbytes(1000)
    wire = mask(data, key)
    for first_way in (0, 1):
        assembly = Assembly(False)
        for way, start, stop in ((first_way, 0, cut), (1 - first_way, cut, 1000)):
            if way:
                assembly.append_masked(b"..." + wire + b"...", 3 + start, 3 + stop, key, start, 1000 - stop)
            else:
                while start < stop:
                    start += fill(assembly, wire[start:stop], key, start)
        assert len(assembly) == 1000
        assert assembly.get_part(990) == data[990:]
        payload = assembly.finish()
        assert type(payload) is bytes
        assert payload == data
        assert (len(assembly), assembly.finish()) == (0, b"")


def test_text_is_refused_at_its_first_wrong_byte_however_it_comes() -> None:
    for take in (
        lambda it, data: it.append(data),
        lambda it, data: it.append_masked(mask(data), 0, len(data), KEY, 0, 0),
        fill,
    ):
        assembly = Assembly(True)
        take(assembly, "né".encode()[:2])
        with pytest.raises(TextFrameEncodingException):
            take(assembly, b"e")
        binary = Assembly(False)
        take(binary, b"\xff")
        assert binary.finish() == b"\xff"


def test_text_that_ends_inside_a_code_point_is_refused_at_its_end() -> None:
    assembly = Assembly(True)
    assembly.append(b"n\xc3")
    with pytest.raises(TextFrameEncodingException):
        assembly.finish()


def test_room_that_is_not_filled_leaves_nothing() -> None:
    assembly = Assembly(False)
    assembly.append(b"He")
    for _ in range(2):
        with assembly.get_room(10, 10) as room:
            assert len(room) == 10
        assert len(assembly) == 2
        assert assembly.get_part(0) == b"He"
    assembly.room_filled(0, KEY, 0)
    with assembly.get_room(10, 10) as room:
        room[:1] = b"y"
    assembly.append(b"llo")
    assert assembly.finish() == b"Hello"
    with assembly.get_room(10, 10) as room:
        room[:1] = b"y"
    assert assembly.finish() == b""


def test_room_is_never_more_than_was_asked_for_or_announced() -> None:
    assembly = Assembly(False)
    for size, remaining in ((10, 5), (5, 10), (0, 5)):
        with assembly.get_room(size, remaining) as room:
            assert len(room) == min(size, remaining)
            assert not room.readonly


@pytest.mark.parametrize("size", [-1, 11])
def test_room_that_was_not_there_cannot_be_filled(size: int) -> None:
    assembly = Assembly(False)
    with assembly.get_room(10, 10):
        pass
    with pytest.raises(ValueError, match=f"{size} bytes have come, into room for 10"):
        assembly.room_filled(size, b"", 0)


@pytest.mark.cpython  # PyPy moves what a view is of, and the view with it
def test_room_that_somebody_holds_stays_where_it_is() -> None:
    assembly = Assembly(False)
    assembly.append(b"Hello")
    room = assembly.get_room(10, 10)
    room[:] = b"0123456789"
    with pytest.raises(BufferError):
        assembly.append(b"x" * 100_000)
    with pytest.raises(BufferError):
        assembly.room_filled(3, b"", 0)
    assert bytes(room) == b"0123456789"
    del assembly
    assert bytes(room) == b"0123456789"
    room.release()


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3), (0, 11)])
def test_piece_that_is_not_there_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=f"there is no piece from {start} to {stop} in 10 bytes"):
        Assembly(False).append_masked(bytes(10), start, stop, KEY, 0, 0)


def test_none_is_no_data() -> None:
    nothing: Any = None
    with pytest.raises(TypeError, match="None"):
        Assembly(False).append(nothing)
    with pytest.raises(TypeError, match="None"):
        Assembly(False).append_masked(nothing, 0, 0, KEY, 0, 0)


def test_piece_with_half_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="a mask key has four bytes"):
        Assembly(False).append_masked(bytes(10), 0, 10, b"ab", 0, 0)


@pytest.mark.cpython
@pytest.mark.parametrize("announced", [64 * KiB, 4096 * KiB])
@pytest.mark.parametrize("by_room", [False, True])
def test_memory_is_no_more_than_twice_what_has_come_and_64_kib(announced: int, by_room: bool) -> None:
    piece = bytes(16 * KiB)
    with trace_memory() as measure:
        assembly = Assembly(False)
        come = 0
        while come < announced:
            if by_room and come:
                come += fill(assembly, piece, KEY, come, remaining=announced - come)
            else:
                come += len(piece)
                assembly.append_masked(piece, 0, len(piece), KEY, come - len(piece), announced - come)
            assert measure()[0] <= 2 * come + 64 * KiB + 2 * KiB
        assert measure()[0] <= announced * 1.2 + 2 * KiB
        payload = assembly.finish()
    assert len(payload) == announced


pieces = st.lists(st.tuples(st.sampled_from(["append", "masked", "room"]), st.text().map(str.encode)))


@given(pieces, st.booleans())
def test_both_builds_assemble_the_same(parts: list[tuple[str, bytes]], is_text: bool) -> None:
    ours, theirs = Assembly(is_text), pure.Assembly(is_text)
    expected = b"".join(data for _, data in parts)
    for assembly in (ours, theirs):
        for way, data in parts:
            if way == "append":
                assembly.append(data)
            elif way == "masked":
                assembly.append_masked(mask(data, KEY, len(assembly)), 0, len(data), KEY, len(assembly), 0)
            else:
                fill(assembly, mask(data, KEY, len(assembly)), KEY, len(assembly))
        assert assembly.get_part(1) == expected[1:]
        assert assembly.finish() == expected
