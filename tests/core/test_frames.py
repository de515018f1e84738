from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware.core.frames import (
    MAX_CONTROL_PAYLOAD,
    check_close_code,
    check_opcode,
    is_close_code,
    pack_close,
    pack_frame,
    pack_head,
    unpack_close,
)
from ws4py_middleware.core.types import Opcode
from ws4py_middleware.exc import FrameTooLargeException, ProtocolException, TextFrameEncodingException

KEY = bytes.fromhex("37fa213d")

#: RFC 6455 sections 7.4.1 and 7.4.2, and the IANA registry: 1012 to 1014 were registered later.
SENDABLE = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, *range(3000, 5000)}


def test_check_opcode_those_of_section_5_2_and_no_others() -> None:
    for opcode in range(256):
        if opcode in (0x0, 0x1, 0x2, 0x8, 0x9, 0xA):
            check_opcode(opcode)
        else:
            with pytest.raises(ProtocolException, match=f"opcode {opcode:#x} is reserved") as caught:
                check_opcode(opcode)
            assert caught.value.close_code == 1002


@pytest.mark.parametrize(
    ("arguments", "wire"),
    [
        # The examples of section 5.7; heads only, where the payload is long.
        ((Opcode.TEXT, b"Hello"), "810548656c6c6f"),
        ((Opcode.TEXT, b"Hello", {"mask_key": KEY}), "818537fa213d7f9f4d5158"),
        ((Opcode.TEXT, b"Hel", {"fin": False}), "010348656c"),
        ((Opcode.CONTINUATION, b"lo"), "80026c6f"),
        ((Opcode.PING, b"Hello"), "890548656c6c6f"),
        ((Opcode.PONG, b"Hello", {"mask_key": KEY}), "8a8537fa213d7f9f4d5158"),
        ((Opcode.BINARY, bytes(256)), "827e0100" + "00" * 256),
        ((Opcode.BINARY, bytes(65536)), "827f0000000000010000" + "00" * 65536),
        # RFC 7692 section 7.2.3.1.
        ((Opcode.TEXT, bytes.fromhex("f248cdc9c90700"), {"rsv1": True}), "c107f248cdc9c90700"),
        ((Opcode.TEXT, bytes.fromhex("f248cd"), {"rsv1": True, "fin": False}), "4103f248cd"),
        ((Opcode.CLOSE, b""), "8800"),
        ((Opcode.CLOSE, b"", {"mask_key": KEY}), "888037fa213d"),
    ],
)
def test_pack_frame_examples_of_the_rfcs(arguments: tuple[Any, ...], wire: str) -> None:
    opcode, payload, *options = arguments
    assert pack_frame(opcode, payload, **(options[0] if options else {})) == bytes.fromhex(wire)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (127, "827e007f"),
        (65535, "827effff"),
        (65536, "827f0000000000010000"),
        (2**31, "827f0000000080000000"),
        (2**63 - 1, "827f7fffffffffffffff"),
    ],
)
def test_pack_head_lengths_are_in_their_shortest_form(size: int, head: str) -> None:
    assert pack_head(0x82, size) == bytes.fromhex(head)
    masked = bytearray.fromhex(head)
    masked[1] |= 0x80
    assert pack_head(0x82, size, KEY) == bytes(masked) + KEY


def test_pack_head_a_length_of_64_bits_does_not_fit() -> None:
    with pytest.raises(FrameTooLargeException, match="does not fit"):
        pack_head(0x82, 2**63)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [0, 5, 125, 126, 70_000])
@pytest.mark.parametrize("key", [None, KEY])
def test_pack_frame_any_kind_of_buffer_gives_bytes(kind: Any, size: int, key: bytes | None) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    wire = pack_frame(Opcode.BINARY, kind(payload), mask_key=key)
    assert type(wire) is bytes
    head = pack_head(0x82, size, key)
    assert wire[: len(head)] == head
    if key is not None:
        payload = bytes(octet ^ key[i % 4] for i, octet in enumerate(payload))
    assert wire[len(head) :] == payload


# --- Close frames ------------------------------------------------------------------------------------


def test_is_close_code_those_of_section_7_4_and_no_others() -> None:
    assert {code for code in range(-1, 65537) if is_close_code(code)} == SENDABLE


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535, 70000])
def test_check_close_code_others_are_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"close code {code} may not be sent"):
        check_close_code(code)
    if code != 1005:
        with pytest.raises(ValueError, match=f"close code {code} may not be sent"):
            pack_close(code)
    if 0 <= code <= 65535:
        with pytest.raises(ProtocolException, match=f"close code {code} may not be sent") as caught:
            unpack_close(code.to_bytes(2, "big"))
        assert caught.value.close_code == 1002


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (None, "", b""),
        (1005, "", b""),
        (1005, "nobody sees this", b""),
        (1000, "", b"\x03\xe8"),
        (1001, "bye", b"\x03\xe9bye"),
        (4999, "\u20ac", b"\x13\x87\xe2\x82\xac"),
    ],
)
def test_pack_close_code_in_network_order_and_reason_in_utf8(
    code: int | None, reason: str, payload: bytes
) -> None:
    assert pack_close(code, reason) == payload
    if payload:
        assert unpack_close(payload) == (code, reason)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 123),
        ("x" * 122 + "\xe4", "x" * 122),
        ("x" * 121 + "\xe4", "x" * 121 + "\xe4"),
        ("\U0001f600" * 31, "\U0001f600" * 30),
    ],
)
def test_pack_close_a_long_reason_is_cut_at_a_code_point(reason: str, kept: str) -> None:
    payload = pack_close(1000, reason)
    assert len(payload) <= MAX_CONTROL_PAYLOAD == 125
    assert unpack_close(payload) == (1000, kept)


def test_unpack_close_without_a_code() -> None:
    assert unpack_close(b"") == (1005, "")


def test_unpack_close_half_a_code_is_refused() -> None:
    with pytest.raises(ProtocolException, match="half a close code") as caught:
        unpack_close(b"\x03")
    assert caught.value.close_code == 1002


@pytest.mark.parametrize("reason", [b"\xff", b"ok\xc3", b"\xed\xa0\x80"])
def test_unpack_close_a_reason_that_is_not_utf8_is_refused(reason: bytes) -> None:
    with pytest.raises(TextFrameEncodingException) as caught:
        unpack_close(b"\x03\xe8" + reason)
    assert caught.value.close_code == 1007


@given(st.sampled_from(sorted(SENDABLE)), st.text(max_size=200))
def test_pack_close_any_reason_is_read_back_as_far_as_it_fits(code: int, reason: str) -> None:
    read_code, read_reason = unpack_close(pack_close(code, reason))
    assert read_code == code
    assert reason.startswith(read_reason)
    assert read_reason == reason or len(reason.encode()) > 123


@given(st.binary(max_size=125))
def test_unpack_close_any_payload_is_read_or_refused(payload: bytes) -> None:
    try:
        code, reason = unpack_close(payload)
    except (ProtocolException, TextFrameEncodingException):
        return
    assert code in SENDABLE | {1005}
    assert reason.encode() == payload[2:]
