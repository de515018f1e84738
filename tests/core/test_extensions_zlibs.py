"""core.extensions.zlibs: which library is used, and compressors that are lent."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.codec import inflate_all
from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.extensions.zlibs import Library, get_libraries, get_library
from ws4py_middleware.core.policy import DeflateOptions

LIBRARIES = get_libraries()

TELL = """
from ws4py_middleware.core.extensions.zlibs import get_library
print(get_library().name, get_library(keeps=True).name)
"""


def test_libraries_are_all_that_is_installed_and_the_last_one_is_used() -> None:
    assert get_libraries() is LIBRARIES
    assert next(iter(LIBRARIES)) == "zlib"
    assert get_library() is [*LIBRARIES.values()][-1]
    assert get_library(keeps=True) is LIBRARIES["zlib"]
    assert [repr(library) for library in LIBRARIES.values()] == [f"Library({name!r})" for name in LIBRARIES]


def test_libraries_without_the_extra_is_pythons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zlib_ng.zlib_ng", None)
    assert list(get_libraries.__wrapped__()) == ["zlib"]


@pytest.mark.parametrize(
    ("choice", "names"),
    [("", f"{get_library().name} zlib"), *((library, f"{library} {library}") for library in LIBRARIES)],
)
def test_library_is_chosen_by_the_environment(choice: str, names: str) -> None:
    environ = {**os.environ, "WS4PY_MIDDLEWARE_ZLIB": choice}
    done = subprocess.run(
        [sys.executable, "-c", TELL], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{names}\n"


def test_library_that_is_not_there_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIBRARIES:
        monkeypatch.setenv("WS4PY_MIDDLEWARE_ZLIB", name)
        assert get_library.__wrapped__() is get_library.__wrapped__(keeps=True) is LIBRARIES[name]
    monkeypatch.setenv("WS4PY_MIDDLEWARE_ZLIB", "zopfli")
    with pytest.raises(ValueError, match="WS4PY_MIDDLEWARE_ZLIB is 'zopfli'; it is one of zlib"):
        get_library.__wrapped__()


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("bits", range(9, 16))
def test_decompressor_has_the_window_that_was_asked_for(name: str, bits: int) -> None:
    packer = zlib.compressobj(9, wbits=-15)
    block, distance = bytes(range(250)), 2 ** min(bits + 1, 14)
    near, far = (
        packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH) for data in (block + bytes(distance), block)
    )
    decompressor = LIBRARIES[name].make_decompressor(bits)
    assert decompressor.decompress(near, 2**15) == block + bytes(distance)
    if bits == 15:
        assert decompressor.decompress(far, 2**15) == block
    else:
        with pytest.raises(LIBRARIES[name].error, match="too far back"):
            decompressor.decompress(far, 2**15)


@pytest.mark.parametrize("keep", [True, False])
def test_codec_keeps_no_compressor_of_the_library_that_takes_much_for_each(keep: bool) -> None:
    extension = Deflate(
        DeflateOptions(), encoder_bits=12, decoder_bits=12, keep_encoder=keep, keep_decoder=True
    )
    first = extension.encode_fragment(b"a fragment, after which the compressor is there", False)
    assert extension.decode_frame(first, False, None)
    kinds = type(extension._compressor), type(extension._decompressor)
    compressing, inflating = get_library(keeps=keep), get_library()
    assert kinds == (type(compressing.compressobj()), type(inflating.decompressobj()))


# --- compressors that are lent -----------------------------------------------------------------------


def fresh(name: str) -> Library:
    return Library(name, zlib if name == "zlib" else sys.modules["zlib_ng.zlib_ng"])


@pytest.mark.parametrize("name", LIBRARIES)
def test_compressor_is_lent_to_one_at_a_time_and_some_are_kept(name: str) -> None:
    library = fresh(name)
    taken = [library.take_compressor(12, 1, 5) for _ in range(10)]
    assert len(set(map(id, taken))) == 10
    for compressor in taken:
        library.give_compressor(compressor, 12, 1, 5)
    assert len({id(library.take_compressor(12, 1, 5)) for _ in range(4)} & set(map(id, taken))) == 4
    assert library.take_compressor(12, 1, 5) not in taken


@pytest.mark.parametrize("name", LIBRARIES)
def test_compressor_that_is_lent_is_of_the_kind_that_was_asked_for(name: str) -> None:
    library = fresh(name)
    compressor = library.make_compressor(12, 1, 5)
    library.give_compressor(compressor, 12, 1, 5)
    assert library.take_compressor(12, 2, 5) is not compressor
    assert library.take_compressor(13, 1, 5) is not compressor
    assert library.take_compressor(12, 1, 6) is not compressor
    assert library.take_compressor(12, 1, 5) is compressor


@pytest.mark.parametrize("name", LIBRARIES)
@given(
    messages=st.lists(st.binary(max_size=300).map(lambda data: data * 40), min_size=2, max_size=5),
    bits=st.integers(8, 15),
    level=st.integers(-1, 9),
    mem_level=st.integers(1, 9),
)
def test_compressor_that_was_used_is_as_good_as_new(
    name: str, messages: list[bytes], bits: int, level: int, mem_level: int
) -> None:
    library = fresh(name)
    for message in [*messages, *messages]:
        compressor = library.take_compressor(bits, level, mem_level)
        data = compressor.compress(message) + compressor.flush(zlib.Z_FULL_FLUSH)
        library.give_compressor(compressor, bits, level, mem_level)
        # Each alone, so nothing refers to the one before.
        assert inflate_all(data) == message
