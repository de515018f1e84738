"""
permessage-deflate, both sides, :rfc:`7692`.

Contexts are made when the first message needs them, and given back after each
message where no context takeover was agreed on: an idle connection that never
compressed anything costs nothing, and compressors that forget are shared by all
connections of a kind.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from ...exc import FrameTooLargeException, InvalidBytesError
from ..headers import ExtensionOffer, Param, quote
from ..policy import DeflateOptions
from ..types import Buffer
from .base import Extension, ExtensionFactory
from .zlibs import MIN_BITS, Compressor, Decompressor, Library, get_library

__all__ = ["Codec", "Deflate", "DeflateFactory", "DeflateParams", "build_params", "parse_params"]

_NAME = "permessage-deflate"

#: What a sender leaves out at the end of a message: an empty block, :rfc:`7692#section-7.2.1`.
_TAIL = b"\x00\x00\xff\xff"

#: Most deflate streams within one frame. One is usual; each new one costs about as much as a frame.
_MAX_STREAMS = 64

#: Bytes that the library is given, and asked for, at once.
_STEP = 64 * 1024

_SYNC_FLUSH = zlib.Z_SYNC_FLUSH
_FULL_FLUSH = zlib.Z_FULL_FLUSH

_WINDOW_BITS = {str(bits): bits for bits in range(8, 16)}


class DeflateParams(NamedTuple):
    """The parameters of an offer or of its answer, :rfc:`7692#section-7.1`."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    #: ``None``: absent.
    server_max_window_bits: int | None = None
    #: ``None``: absent. ``0``: there, without a value; offers only.
    client_max_window_bits: int | None = None


def parse_params(params: Sequence[Param]) -> DeflateParams:
    """
    Parse the parameters of an offer or answer.

    Raises:
        ValueError: One is unknown, there twice, or has a value that it cannot have.
    """
    found: dict[str, Any] = {}
    for name, value, quoted in params:
        if name in found:
            raise ValueError(f"{name} is there twice")
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                raise ValueError(f"{name} has a value, {quote(value)}; it takes none")
            found[name] = True
        elif name == "client_max_window_bits" and value is None:
            found[name] = 0
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            bits = None if quoted or value is None else _WINDOW_BITS.get(value)
            if bits is None:
                raise ValueError(f"{name} is {quote(str(value))}; it is 8 to 15, plainly written")
            found[name] = bits
        else:
            raise ValueError(f"there is no parameter {quote(name)}")
    return DeflateParams(**found)


def build_params(params: DeflateParams) -> tuple[Param, ...]:
    """Build the parameters of an offer or answer; :func:`parse_params` reads them back."""
    built = []
    for name, value in params._asdict().items():
        if value is not None and value is not False:
            built.append(Param(name, None if value is True or value == 0 else str(value)))
    return tuple(built)


class DeflateFactory(ExtensionFactory):
    """
    Negotiates permessage-deflate according to the options of a policy.

    Args:
        options: The wishes of this end.
        library: What compresses and inflates; ``None``: what :func:`.zlibs.get_library` chooses for either.
    """

    __slots__ = ("_library", "_options")

    name = _NAME

    def __init__(self, options: DeflateOptions, library: Library | None = None) -> None:
        self._options = options
        self._library = library

    def accept(self, params: Sequence[Param]) -> tuple[Deflate, tuple[Param, ...]] | None:
        """Accept any offer whose parameters are valid; the answer is the smaller of both wishes."""
        try:
            offer = parse_params(params)
        except ValueError:
            return None
        options = self._options
        server_bits = min(offer.server_max_window_bits or 15, options.server_max_window_bits)
        client_bits: int | None = None
        if offer.client_max_window_bits is not None:
            client_bits = min(offer.client_max_window_bits or 15, options.client_max_window_bits)
        answer = DeflateParams(
            offer.server_no_context_takeover or options.server_no_context_takeover or options.shared,
            offer.client_no_context_takeover or options.client_no_context_takeover,
            # 15 is what it means to be absent, but an offer that has it wants it back.
            server_bits if server_bits < 15 or offer.server_max_window_bits else None,
            client_bits,
        )
        extension = Deflate(
            options,
            encoder_bits=server_bits,
            decoder_bits=client_bits or 15,
            keep_encoder=not answer.server_no_context_takeover,
            keep_decoder=not answer.client_no_context_takeover,
            library=self._library,
        )
        return extension, build_params(answer)

    def build_offer(self) -> ExtensionOffer:
        """Offer what the options say; 15 bits are the default of the RFC and are left out."""
        options = self._options
        bits = options.server_max_window_bits
        offer = DeflateParams(
            options.server_no_context_takeover,
            options.client_no_context_takeover,
            bits if bits < 15 else None,
            options.client_max_window_bits if options.client_max_window_bits < 15 else 0,
        )
        return ExtensionOffer(self.name, build_params(offer))

    def check_response(self, params: Sequence[Param]) -> Deflate:
        """
        Take a server's answer to :meth:`build_offer`.

        Raises:
            ValueError: It asks for more than was offered, or does not confirm what it has to,
                :rfc:`7692#section-7.1`.
        """
        options = self._options
        answer = parse_params(params)
        if options.server_no_context_takeover and not answer.server_no_context_takeover:
            raise ValueError("server_no_context_takeover is missing")
        server_bits = answer.server_max_window_bits or 15
        if server_bits > options.server_max_window_bits:
            raise ValueError(f"server_max_window_bits is {server_bits}, not {options.server_max_window_bits}")
        if answer.client_max_window_bits == 0:
            raise ValueError("client_max_window_bits has no value")
        # The offer was a hint: the server may allow a larger window, which is not used then, section 7.1.2.2.
        client_bits = min(answer.client_max_window_bits or 15, options.client_max_window_bits)
        no_takeover = answer.client_no_context_takeover or options.client_no_context_takeover
        return Deflate(
            options,
            encoder_bits=client_bits,
            decoder_bits=server_bits,
            keep_encoder=not no_takeover,
            keep_decoder=not answer.server_no_context_takeover,
            library=self._library,
        )


class Codec:
    """
    What compresses and inflates for one connection: a window for what is sent, one for what is received.

    Args:
        options: Level, memory level and threshold.
        encoder_bits: Largest window that may be compressed with: 8 to 15.
        decoder_bits: Largest window that the peer compresses with: 8 to 15.
        keep_encoder: Whether a message may refer to those sent before it.
        keep_decoder: Whether the peer's messages may refer to those before them.
        library: What compresses and inflates; ``None``: what :func:`.zlibs.get_library` chooses for either.
    """

    __slots__ = (
        "_compressor",
        "_decoder_bits",
        "_decompressor",
        "_encoder_bits",
        "_in_stream",
        "_inflater",
        "_keep_decoder",
        "_keep_encoder",
        "_kind",
        "_last_flush",
        "_library",
        "_share_key",
        "_threshold",
    )

    def __init__(
        self,
        options: DeflateOptions,
        *,
        encoder_bits: int,
        decoder_bits: int,
        keep_encoder: bool,
        keep_decoder: bool,
        library: Library | None = None,
    ) -> None:
        self._inflater = library or get_library()
        self._library = library = library or get_library(keep_encoder)
        self._threshold = options.threshold
        self._encoder_bits = encoder_bits
        # A larger window reads what was written with a smaller one; and compressors that were
        # told 8 may use 9, because zlib did so.
        self._decoder_bits = max(decoder_bits, MIN_BITS)
        self._keep_encoder = keep_encoder
        self._keep_decoder = keep_decoder
        self._kind = (encoder_bits, options.level, options.mem_level)
        self._last_flush = _SYNC_FLUSH if keep_encoder else _FULL_FLUSH
        self._share_key = None if keep_encoder else (_NAME, library.name, *self._kind, options.threshold)
        self._compressor: Compressor | None = None
        self._decompressor: Decompressor | None = None
        # Whether bytes have come since the last place where a message or a stream ended.
        self._in_stream = False

    def encode_message(self, payload: Buffer) -> bytes | None:
        """Compress a message, unless it is shorter than the threshold: then ``None``."""
        if len(payload) < self._threshold:
            return None
        return self.encode_fragment(payload, True)

    def encode_fragment(self, payload: Buffer, fin: bool) -> bytes:
        """Compress a fragment; the threshold does not count."""
        compressor = self._compressor
        if compressor is None:
            if self._keep_encoder:
                compressor = self._compressor = self._library.make_compressor(*self._kind)
            else:
                compressor = self._library.take_compressor(*self._kind)
        if not fin:
            self._compressor = compressor
            return compressor.compress(payload) + compressor.flush(_SYNC_FLUSH)
        data = compressor.compress(payload) + compressor.flush(self._last_flush)
        if not self._keep_encoder:
            self._compressor = None
            self._library.give_compressor(compressor, *self._kind)
        # Nothing is flushed when there is nothing new. The empty block of which the peer
        # puts back the last four bytes begins with this one, RFC 7692 section 7.2.3.6.
        return data[: len(data) - 4] if data else b"\x00"

    def decode_frame(self, payload: Buffer, fin: bool, max_size: int | None) -> bytes:
        """
        Inflate the payload of a frame; no more than ``max_size + 1`` bytes are ever made.

        A block with BFINAL ends a stream, not the message: what follows is inflated from
        a new one, :rfc:`7692#section-7.2.3.4`. A message without any bytes, and one that ends with
        such a block and nothing behind it, are taken for what they are meant to be.
        """
        last: Buffer | None = None
        if fin and 0 < len(payload) <= _STEP:
            last = b"".join((payload, _TAIL))
            steps: list[Buffer] = [last]
        else:
            # In steps, because all that is put out is copied, and all that was not taken.
            view = memoryview(payload)
            steps = [view[start : start + _STEP] for start in range(0, len(view), _STEP)]
            if fin and (payload or self._in_stream):
                last = b"".join((steps.pop() if steps else b"", _TAIL))
                steps.append(last)
        pieces: list[bytes] = []
        size = 0
        streams = 0
        for step in steps:
            data = step
            while data:
                decompressor = self._decompressor
                if decompressor is None:
                    decompressor = self._decompressor = self._inflater.make_decompressor(self._decoder_bits)
                try:
                    # Never 0, which means "no limit".
                    room = _STEP if max_size is None else min(max_size + 1 - size, _STEP)
                    piece = decompressor.decompress(data, room)
                except self._inflater.error as error:
                    self._decompressor = None
                    raise InvalidBytesError(f"a compressed payload does not inflate: {error}") from None
                size += len(piece)
                if max_size is not None and size > max_size:
                    self._decompressor = None
                    raise FrameTooLargeException("a compressed message inflates to more than the limit")
                pieces.append(piece)
                self._in_stream = True
                if not decompressor.eof:
                    data = decompressor.unconsumed_tail
                    continue
                self._decompressor = None
                self._in_stream = False
                data = decompressor.unused_data
                streams += 1
                if streams > _MAX_STREAMS:
                    raise InvalidBytesError(f"a compressed frame of more than {_MAX_STREAMS} streams")
                if step is last and len(data) == len(_TAIL):
                    break  # the stream ended with the payload; there is nothing that needs the tail
        if fin:
            self._in_stream = False
            if not self._keep_decoder:
                self._decompressor = None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Deflate(Codec, Extension):
    """The same as an extension, which takes :class:`Codec`'s arguments."""

    __slots__ = ()

    name = _NAME
    rsv1 = True

    def __repr__(self) -> str:
        takeover = f"keep_encoder={self._keep_encoder}, keep_decoder={self._keep_decoder}"
        return f"Deflate(encoder_bits={self._encoder_bits}, decoder_bits={self._decoder_bits}, {takeover})"

    @property
    def share_key(self) -> Hashable | None:
        """What a compressed message depends on; ``None`` with context takeover."""
        return self._share_key
