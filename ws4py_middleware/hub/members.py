"""Who is in a room, what is known of them, and what a room may be called."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.prepared import PreparedMessage

__all__ = ["MAX_INFO", "MAX_ROOM", "Member", "Receiver", "check_info", "check_room", "make_id"]

#: Most characters of a room's name.
MAX_ROOM = 200
#: Most bytes of what is known of a member, as JSON.
MAX_INFO = 1024


class Receiver(Protocol):
    """What a room has to know of those who get its messages: every WebSocket is one."""

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent to it."""

    def deliver(self, message: PreparedMessage, /) -> bool:
        """Take a message; never wait and never raise. Return whether it was queued."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """Somebody in a room."""

    #: The same in all rooms of one hub that it is in at the same time, and of nobody else.
    id: str
    #: What it came in with; not to be changed here, but by joining again.
    info: Mapping[str, Any]
    #: The WebSocket; ``None`` when its connection is in another process.
    websocket: Any = None


def make_id() -> str:
    """Make the id of a member, unlike that of anybody else anywhere."""
    return secrets.token_hex(8)


def check_room(room: object) -> str:
    """
    Check what a room is called.

    >>> check_room("lobby")
    'lobby'

    Raises:
        TypeError: It is no str.
        ValueError: It is empty, longer than 200 characters, or no Unicode.
    """
    if not isinstance(room, str):
        raise TypeError(f"a room is a str, not {type(room).__name__}")
    if not 0 < len(room) <= MAX_ROOM:
        raise ValueError(f"the name of a room has 1 to {MAX_ROOM} characters; this has {len(room)}")
    if not room.isascii():
        try:
            room.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"the name of a room has half a surrogate pair at {error.start}") from None
    return room


def check_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """
    Copy what is to be known of a member, as it arrives in every other process.

    >>> check_info({"name": "Ada", "roles": ("admin",)})
    {'name': 'Ada', 'roles': ['admin']}

    Raises:
        TypeError: It is no mapping, or JSON has no notation for a value or a key.
        ValueError: As JSON it is longer than 1 KiB, or holds itself, NaN or half a surrogate pair.
    """
    if not isinstance(info, Mapping):
        raise TypeError(f"what is known of a member is a mapping, not {type(info).__name__}")
    try:
        text = json.dumps(dict(info), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except TypeError as error:
        raise TypeError(f"what is known of a member has to be JSON: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"what is known of a member has to be JSON: {error}") from None
    if size > MAX_INFO:
        raise ValueError(f"what is known of a member has at most {MAX_INFO} bytes as JSON; this has {size}")
    copy: dict[str, Any] = json.loads(text)
    return copy
