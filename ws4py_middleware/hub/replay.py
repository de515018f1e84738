"""
The server's part of the subprotocol ``ws4py.replay.v1``; ``docs/howto/rooms.md`` has all of it.

A client that comes back says first how far it has heard its rooms. Until then it is in the rooms that
its handler joins, and gets nothing of them. What begins with the mark is the protocol's, both ways; a text of
the application that begins so has one mark more.

Only connections that have agreed on the subprotocol know of this.
"""

from __future__ import annotations

import functools
import json
from _thread import RLock  # never held while anybody waits
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..core.prepared import PreparedMessage
from ..core.types import Buffer, CloseCode
from ..messaging import Message, TextMessage
from .alarms import Alarm
from .catchup import CatchUp
from .cursors import Cursor
from .entries import MARK, Marked, escape
from .history import is_id
from .members import check_room

__all__ = ["MAX_RESUME", "MAX_ROOMS", "SUBPROTOCOL", "Replay", "parse_resume", "replaying_link"]

SUBPROTOCOL = "ws4py.replay.v1"
#: Most rooms, and bytes, of what a client says first.
MAX_ROOMS = 1000
MAX_RESUME = 65_536
#: Seconds after which a handler that is busy is looked at again.
_BUSY = 1.0


def parse_resume(data: bytes) -> dict[str, str]:
    r"""
    Parse what a client says of where it was, mark and all.

    >>> parse_resume(b'\x1e{"resume": {"lobby": "17-0"}}')
    {'lobby': '17-0'}

    Raises:
        ValueError: It is something else, or too much of it.
    """
    if len(data) > MAX_RESUME:
        raise ValueError(f"a resume has at most {MAX_RESUME} bytes")
    try:
        said = json.loads(data[1:])
    except (ValueError, RecursionError):
        raise ValueError("what follows U+001E is no JSON") from None
    if not isinstance(said, dict) or list(said) != ["resume"] or not isinstance(said["resume"], dict):
        raise ValueError('what follows U+001E is {"resume": {room: id, ...}}')
    ids: dict[str, str] = said["resume"]
    if len(ids) > MAX_ROOMS:
        raise ValueError(f"a resume has at most {MAX_ROOMS} rooms")
    for room, one in ids.items():
        check_room(room)
        if not is_id(one):
            raise ValueError("an id has 1 to 64 characters of [0-9A-Za-z.-]")
    return ids


class Replay:
    """
    What one connection has of the subprotocol, in front of its handler.

    Args:
        websocket: Its messages come here first.
    """

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket
        self._take = websocket.received_message
        self._lock: Any = RLock()
        self._ids: dict[str, str] = {}
        #: Rooms that wait for the client's first message; ``None`` when it has come.
        self._waiting: list[tuple[CatchUp, Cursor, str | None]] | None = []
        self._alarm: Alarm | None = None
        self._is_late = False
        websocket.received_message = self.received_message

    def received_message(self, message: Message) -> Any:
        """Take what is the protocol's, and give all else to the handler."""
        if self._waiting is not None or self._is_late:
            return self._take_first(message)
        data = message.data
        if message.is_text and data[:1] == MARK:
            if data[1:2] != MARK:
                self._refuse("a resume is the first message")
                return None
            message = TextMessage.from_bytes(data[1:])
        return self._take(message)

    def _take_first(self, message: Message) -> Any:
        data = message.data
        if message.is_text and data[:1] == MARK and data[1:2] != MARK:
            try:
                ids = parse_resume(bytes(data))
            except ValueError as error:
                self._refuse(str(error))
                return None
            if self._is_late:
                # Its rooms have begun without it. When it comes back it may be quicker.
                self._fail(CloseCode.TRY_AGAIN_LATER, "the resume came too late")
            else:
                self._begin(ids)
            return None
        self._is_late = False
        self._begin({})
        return self.received_message(message)

    def _refuse(self, reason: str) -> None:
        self._fail(CloseCode.POLICY_VIOLATION, reason)

    def _fail(self, code: int, reason: str) -> None:
        link = self._link
        if link is not None:
            link.fail(code, reason)

    @property
    def _link(self) -> Any:
        websocket = self._websocket
        return None if websocket is None else websocket._link

    # --- rooms -------------------------------------------------------------------------------

    def enter(self, catchup: CatchUp, cursor: Cursor, since: str | None) -> None:
        """Let a room begin, now or when the client has said where it was."""
        with self._lock:
            waiting = self._waiting
            if waiting is None:
                since = self._ids.pop(cursor.room, since)
            else:
                waiting.append((catchup, cursor, since))
        if waiting is None:
            catchup.begin(cursor, since)
        elif self._alarm is None and self._link is not None:
            timeout = self._link.policy.open_timeout
            if timeout is not None:
                self._alarm = catchup.call_later(monotonic() + timeout, self._time_out)

    def _begin(self, ids: dict[str, str]) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
            if waiting is None:
                return
            self._ids = ids
            if self._alarm is not None:
                self._alarm.function = None
            due = [(catchup, cursor, ids.pop(cursor.room, since)) for catchup, cursor, since in waiting]
        for catchup, cursor, since in due:
            catchup.begin(cursor, since)

    def _time_out(self) -> None:
        link = self._link
        waiting = self._waiting
        if link is None or link.released or not waiting:
            return
        if link._busy or link.held:
            # What the client has said is not read as long as its handler is busy.
            self._alarm = waiting[0][0].call_later(monotonic() + _BUSY, self._time_out)
            return
        self._is_late = True
        self._begin({})

    def end(self) -> None:
        """Let go of the handler: the connection has ended."""
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            websocket.__dict__.pop("received_message", None)
            del self._take  # a circle would keep both until some garbage collection
        with self._lock:
            if self._alarm is not None:
                self._alarm.function = None


class _Escaping:
    """The half of a link that sends, where a text may begin with the mark."""

    if TYPE_CHECKING:
        _is_empty: bool
    else:
        __slots__ = ()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._is_empty = False  # nothing has come yet of a message in fragments

    def send_message(self, data: Buffer, is_text: bool) -> None:
        super().send_message(escape(data) if is_text else data, is_text)  # type: ignore[misc]  # a link's

    def send_fragment(self, data: Buffer, is_text: bool, *, first: bool, fin: bool) -> None:
        if is_text and (first or self._is_empty):
            self._is_empty = not len(data)
            data = escape(data)
        super().send_fragment(data, is_text, first=first, fin=fin)  # type: ignore[misc]  # a link's

    def send_shared(self, message: PreparedMessage, cork: list[Any] | None) -> bool:
        if message.is_text and message.data[:1] == MARK and not isinstance(message, Marked):
            message = PreparedMessage(escape(message.data), True)
        sent: bool = super().send_shared(message, cork)  # type: ignore[misc]  # a link's
        return sent


@functools.lru_cache(maxsize=16)
def replaying_link(kind: type[Any]) -> type[Any]:
    """Return a kind of link that leaves the mark to the protocol."""
    return type(f"Replaying{kind.__name__}", (_Escaping, kind), {"__slots__": ("_is_empty",)})
