"""The field's vocabulary: sides, states, opcodes, close codes, and one frame."""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["WS_KEY", "WS_VERSION", "Buffer", "CloseCode", "Frame", "Opcode", "Side", "State"]

#: What a payload may be given as; none of them is modified or kept beyond the call.
Buffer = bytes | bytearray | memoryview

#: The GUID that is hashed into ``Sec-WebSocket-Accept``, :rfc:`6455#section-1.3`.
WS_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#: The values of ``Sec-WebSocket-Version`` that ws4py knew. Only 13 is spoken here.
WS_VERSION = (8, 13)


class Side(enum.Enum):
    """Which end of the connection this is; a client masks what it sends, a server must not."""

    SERVER = "server"
    CLIENT = "client"


class State(enum.IntEnum):
    """Where a connection is in its life, :rfc:`6455#section-4` and §7."""

    CONNECTING = 0
    OPEN = 1
    #: This end has sent a Close frame and waits for the peer's.
    CLOSING = 2
    #: Nothing more is sent or received; the TCP connection is to be ended.
    CLOSED = 3


class Opcode(enum.IntEnum):
    """The opcodes of :rfc:`6455#section-5.2`; all others are reserved."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(enum.IntEnum):
    """The registered close codes, :rfc:`6455#section-7.4.1` and the IANA registry."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    #: Never on the wire: the Close frame had no code.
    NO_STATUS_RECEIVED = 1005
    #: Never on the wire: the connection was lost.
    ABNORMAL_CLOSURE = 1006
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    #: Never on the wire: TLS failed.
    TLS_HANDSHAKE = 1015


class Frame(NamedTuple):
    """One frame as it stands on the wire, unmasked."""

    opcode: Opcode
    payload: bytes
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False
