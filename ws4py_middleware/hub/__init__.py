"""
Rooms: who gets what is published.

There is nothing to set up: every handler has :attr:`~.WebSocket.hub`, the one
hub of its process, and a view publishes through :func:`default_hub`. A member
leaves its rooms by itself when its connection ends.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol

from ..core.prepared import PreparedMessage
from ..core.types import Buffer
from ..core.utf8 import check_utf8
from ..exc import TextFrameEncodingException
from ..messaging import Message

__all__ = ["Hub", "Member", "default_hub", "prepare"]


class Member(Protocol):
    """What a room has to know of those who are in it."""

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent to it."""

    def deliver(self, message: PreparedMessage, /) -> bool:
        """Take a message; never wait and never raise. Return whether it was queued."""


class Hub:
    """The rooms of one process. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Dictionaries, because they keep the order in which members came.
        self._rooms: dict[str, dict[Member, None]] = {}
        self._joined: dict[Member, set[str]] = {}

    def join(self, member: Member, room: str) -> None:
        """
        Let a member have what is published to a room; again does nothing.

        A member whose connection has ended does not come in.
        """
        with self._lock:
            self._rooms.setdefault(room, {})[member] = None
            self._joined.setdefault(member, set()).add(room)
        # Looked at after the entry: whoever ends now leaves after it, or is seen here.
        if not member.is_open:
            self.leave_all(member)

    def leave(self, member: Member, room: str) -> None:
        """Take a member out of a room; one that is not in it is left alone."""
        with self._lock:
            self._remove(member, room)
            rooms = self._joined.get(member)
            if rooms is not None:
                rooms.discard(room)
                if not rooms:
                    del self._joined[member]

    def leave_all(self, member: Member) -> None:
        """Take a member out of all its rooms."""
        with self._lock:
            for room in self._joined.pop(member, ()):
                self._remove(member, room)

    def members(self, room: str) -> list[Member]:
        """Return who is in a room, in the order of coming."""
        with self._lock:
            return list(self._rooms.get(room, ()))

    def rooms(self) -> list[str]:
        """Return the rooms that have members."""
        with self._lock:
            return list(self._rooms)

    def publish(self, room: str, message: str | Buffer | Message, exclude: Member | None = None) -> int:
        """
        Send a message to everyone in a room, and wait for nobody.

        The frame is built once. A member that does not read gets what its
        ``queue_policy`` says, and costs the others nothing.

        Args:
            room: A room without members is no error.
            message: str is sent as text, bytes as binary, a message as what it is.
            exclude: Somebody who does not get it; usually who said it.

        Returns:
            How many members the message was queued for.

        Raises:
            TypeError: The message is of another type.
        """
        prepared = prepare(message)
        return sum(member.deliver(prepared) for member in self.members(room) if member is not exclude)

    def _remove(self, member: Member, room: str) -> None:
        members = self._rooms.get(room)
        if members is not None:
            members.pop(member, None)
            if not members:
                del self._rooms[room]


def prepare(message: object, binary: bool = True) -> PreparedMessage:
    """
    Prepare a message for many.

    Args:
        binary: Whether bytes are binary; ws4py's ``broadcast()`` sends them as text.

    Raises:
        TypeError: It is neither str, bytes nor a message of data.
        ValueError: It is to be text and is not UTF-8; every peer would fail its connection.
    """
    if isinstance(message, str):
        return PreparedMessage(message.encode(), True)
    if isinstance(message, bytes | bytearray | memoryview):
        return _prepare_bytes(bytes(message), not binary)
    if isinstance(message, Message) and (message.is_text or message.is_binary):
        if message.completed:  # it was received, and checked then
            return PreparedMessage(message.data, message.is_text)
        return _prepare_bytes(message.data, message.is_text)
    raise TypeError(f"a message is str, bytes, TextMessage or BinaryMessage, not {type(message).__name__}")


def _prepare_bytes(data: bytes, is_text: bool) -> PreparedMessage:
    if is_text:
        try:
            check_utf8(data)
        except TextFrameEncodingException as error:
            raise ValueError(str(error)) from None
    return PreparedMessage(data, is_text)


_default: tuple[int, Hub] | None = None
_default_lock = threading.Lock()


def default_hub() -> Hub:
    """Return the hub of this process; a forked child has one of its own, without its parent's members."""
    global _default
    if _default is None or _default[0] != os.getpid():
        with _default_lock:
            if _default is None or _default[0] != os.getpid():
                _default = (os.getpid(), Hub())
    return _default[1]
