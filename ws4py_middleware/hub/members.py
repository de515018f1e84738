"""Who is in a room, what is known of them, and what a room may be called."""

from __future__ import annotations

import json
import secrets
import weakref
from collections.abc import Callable, Mapping
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


class Member:
    """
    Somebody in a room; not to be changed, but by joining again.

    Args:
        id: The same in all rooms of one hub that it is in at the same time, and of nobody else.
        info: What it came in with.
        websocket: Whose member this is.
    """

    __slots__ = ("_refer", "id", "info")

    def __init__(self, id: str, info: Mapping[str, Any], websocket: Receiver | None = None) -> None:
        self.id = id
        self.info = info
        # Who keeps its own member makes no circle, which would wait for some garbage collection.
        self._refer: Callable[[], Receiver | None] = _nobody if websocket is None else _refer_to(websocket)

    @property
    def websocket(self) -> Any:
        """The WebSocket; ``None`` when its connection is in another process, or has ended long ago."""
        return self._refer()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.info!r}>"


def _refer_to(receiver: Receiver) -> Callable[[], Receiver | None]:
    try:
        return weakref.ref(receiver)
    except TypeError:  # it has __slots__, and none for this
        return lambda: receiver


def _nobody() -> None:
    return None


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
