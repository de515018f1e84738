"""Streams of frames, and ways to cut them, for Hypothesis."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.core.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, build_frame
from tests.fuzz.reference import Value
from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.policy import DeflateOptions

#: Text whose code points have one to four bytes.
texts = st.text(st.sampled_from("aé€🎈\u07ff\uffff\U0010ffff\0"), max_size=40).map(str.encode)
payloads = st.one_of(
    st.binary(max_size=20),
    st.builds(
        lambda piece, times: piece * times,
        st.binary(min_size=1, max_size=2),
        st.sampled_from([62, 63, 125, 126, 127, 200]),
    ),
)
mask_keys = st.binary(min_size=4, max_size=4)
close_codes = st.sampled_from([1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4999])


def make_deflate(keep: bool = True) -> Deflate:
    """Make a codec of the package, with the largest windows."""
    options = DeflateOptions(threshold=8)
    return Deflate(options, encoder_bits=15, decoder_bits=15, keep_encoder=keep, keep_decoder=keep)


@dataclass
class Stream:
    """The bytes of one direction, and what they mean."""

    wire: bytes
    events: list[Value]
    masked: bool
    deflate: bool


@st.composite
def cuts(draw: st.DrawFn, wire: bytes) -> list[bytes]:
    """Cut bytes anywhere, also into pieces of one byte, and with empty pieces between."""
    if not wire or draw(st.integers(0, 9)) == 0:
        return [wire[i : i + 1] for i in range(len(wire))]
    positions = draw(st.lists(st.integers(0, len(wire)), max_size=12))
    borders = [0, *sorted(positions), len(wire)]
    return [wire[start:stop] for start, stop in zip(borders, borders[1:])]  # noqa: B905, RUF007


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Make a stream of frames that break no rule, and may end with a Close frame and junk behind it."""
    masked = draw(st.booleans())
    deflate = draw(st.booleans())
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    wire = bytearray()
    events: list[Value] = []

    def add_frame(opcode: int, payload: bytes, fin: bool = True, rsv: int = 0) -> None:
        key = draw(mask_keys) if masked else None
        wire.extend(build_frame(opcode, payload, fin=fin, rsv=rsv, key=key))

    def add_controls() -> None:
        for opcode in draw(st.lists(st.sampled_from([PING, PONG]), max_size=2)):
            payload = draw(st.one_of(st.binary(max_size=8), st.just(b"x" * 125)))
            add_frame(opcode, payload)
            events.append(("ping" if opcode == PING else "pong", payload))

    for _ in range(draw(st.integers(0, 5))):
        add_controls()
        is_text = draw(st.booleans())
        data = payload = draw(texts if is_text else payloads)
        rsv = 0
        if deflate and draw(st.booleans()):
            rsv = 4
            payload = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
            payload = payload[:-4] if payload else b"\0"
        fragments = draw(cuts(payload)) if draw(st.booleans()) else [payload]
        last = len(fragments) - 1
        for index, fragment in enumerate(fragments or [b""]):
            opcode = CONT if index else (TEXT if is_text else BINARY)
            if index:
                add_controls()
            add_frame(opcode, fragment, fin=index >= last, rsv=0 if index else rsv)
        events.append(("text" if is_text else "binary", data))
    if draw(st.integers(0, 3)) == 0:
        code, reason = draw(close_codes), draw(texts)[:120].decode("utf-8", "ignore")
        add_frame(CLOSE, code.to_bytes(2, "big") + reason.encode())
        events.append(("close", code, reason))
        wire += draw(st.binary(max_size=20))
    return Stream(bytes(wire), events, masked, deflate)


@st.composite
def broken_streams(draw: st.DrawFn) -> Stream:
    """Make a stream that began well; what it means is for the reference to tell."""
    stream = draw(streams())
    wire = bytearray(stream.wire)
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(wire)))
        kind = draw(st.sampled_from(["flip", "insert", "delete", "append", "frame"]))
        if kind == "flip" and position < len(wire):
            wire[position] ^= 1 << draw(st.integers(0, 7))
        elif kind == "insert":
            wire[position:position] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "delete":
            del wire[position : position + draw(st.integers(1, 4))]
        elif kind == "append":
            wire += draw(st.binary(max_size=30))
        else:
            wire += draw(wild_frames(stream.masked))
    return Stream(bytes(wire), [], stream.masked, stream.deflate)


#: First bytes of frames that some rule allows: whole messages, fragments, compressed ones, control frames.
_LIKELY = [0x81, 0x82, 0x01, 0x02, 0x00, 0x00, 0x00, 0x80, 0xC1, 0xC2, 0x41, 0x42, 0x88, 0x89, 0x8A, 0x89]


@st.composite
def wild_frames(draw: st.DrawFn, masked: bool) -> bytes:
    """Make a frame of which only the length is right."""
    first = draw(st.sampled_from(_LIKELY) if draw(st.integers(0, 9)) else st.integers(0, 255))
    key = draw(mask_keys) if masked ^ (draw(st.integers(0, 30)) == 0) else None
    payload = draw(st.one_of(payloads, texts))
    return build_frame(first & 15, payload, fin=bool(first >> 7), rsv=first >> 4 & 7, key=key)
