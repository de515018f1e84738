"""Compression for tests: codecs, and zlib alone to check them with."""

from __future__ import annotations

import zlib

from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.extensions.zlibs import Library, get_library
from ws4py_middleware.core.policy import DeflateOptions

MIB = 1024 * 1024
ALWAYS = DeflateOptions(threshold=0)


#: What the codecs compress with; a fixture may put another one here.
libraries: list[Library] = [get_library()]


def codec(
    options: DeflateOptions = ALWAYS, bits: int = 15, keep: bool = True, library: Library | None = None
) -> Deflate:
    return Deflate(
        options,
        encoder_bits=bits,
        decoder_bits=bits,
        keep_encoder=keep,
        keep_decoder=keep,
        library=library or libraries[-1],
    )


def decode(extension: Deflate, payload: bytes, max_size: int | None = MIB) -> bytes:
    return extension.decode_frame(payload, True, max_size)


def encode(extension: Deflate, payload: bytes) -> bytes:
    data = extension.encode_message(payload)
    assert data is not None
    return data


def deflate(data: bytes) -> bytes:
    """Compress as :rfc:`7692#section-7.2.1` says, with zlib alone."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate_all(data: bytes) -> bytes:
    """Inflate a raw stream that has ended at a flush, with zlib alone."""
    return zlib.decompressobj(-15).decompress(data)
