from __future__ import annotations

import re

import pytest

from ws4py_middleware.core.types import WS_KEY, WS_VERSION, Buffer, CloseCode, Frame, Opcode, Side, State


def test_ws_key_is_the_guid_of_the_rfc() -> None:
    # RFC 6455 section 1.3.
    assert WS_KEY == b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    assert re.fullmatch(rb"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", WS_KEY)
    assert 13 in WS_VERSION


def test_opcodes_are_those_of_section_5_2() -> None:
    assert {opcode.name: opcode.value for opcode in Opcode} == {
        "CONTINUATION": 0x0,
        "TEXT": 0x1,
        "BINARY": 0x2,
        "CLOSE": 0x8,
        "PING": 0x9,
        "PONG": 0xA,
    }


def test_close_codes_are_those_of_the_registry() -> None:
    # RFC 6455 section 7.4.1 and the IANA registry; 1004 is reserved and has no name.
    assert [code.value for code in CloseCode] == [1000, 1001, 1002, 1003, *range(1005, 1016)]
    assert CloseCode(1009) is CloseCode.MESSAGE_TOO_BIG


def test_states_follow_each_other() -> None:
    assert [state.name for state in sorted(State)] == ["CONNECTING", "OPEN", "CLOSING", "CLOSED"]
    assert {side.value for side in Side} == {"server", "client"}


def test_frame_is_final_and_plain_until_it_is_told_otherwise() -> None:
    frame = Frame(Opcode.TEXT, b"Hello")
    assert frame == (Opcode.TEXT, b"Hello", True, False, False, False)
    assert frame._replace(fin=False) == Frame(Opcode.TEXT, b"Hello", fin=False)


@pytest.mark.parametrize("payload", [b"", bytearray(), memoryview(b"")])
def test_buffer_is_what_a_payload_may_be_given_as(payload: object) -> None:
    assert isinstance(payload, Buffer)
    assert not isinstance("", Buffer)
