"""
Missing nothing: the client's part of the subprotocol ``ws4py.replay.v1``, without I/O.

::

    client = WebSocketBaseClient("wss://example.com/chat", ["ws4py.replay.v1"], reconnect=True)

:class:`Replay` is what a client knows of its rooms, and outlives its connections. When a server has chosen
the subprotocol, a :class:`ReplayingConnection` stands where a :class:`~.core.connection.Connection` stands
elsewhere: it asks for what was missed before it says anything else, and turns the protocol's messages into
those of the application. Whatever drives it notices no difference.

Text messages that begin with U+001E are the protocol's, and hold one JSON object; the application's own
that begin so have one more in front. ``docs/howto/rooms.md`` has all of it.
"""

from __future__ import annotations

import base64
import json
from _thread import RLock  # the handler of a signal may want the positions, too
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..core.connection import Connection
from ..core.events import Event, HookDue, MessageReceived
from ..exc import InvalidBytesError, ProtocolException, WebSocketException
from ..hub.entries import MARK, escape
from ..hub.history import is_id
from ..hub.replay import MAX_RESUME, MAX_ROOMS, SUBPROTOCOL
from ..messaging import BinaryMessage, TextMessage
from ..websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.extensions.base import Extension
    from ..core.prepared import PreparedMessage
    from ..core.types import Buffer
    from .base import ClientBase

__all__ = [
    "SUBPROTOCOL",
    "Arrived",
    "Missed",
    "Replay",
    "ReplayingConnection",
    "RoomBinaryMessage",
    "RoomTextMessage",
]

#: How many of the last ids are remembered beside each room's position, and how many keys of those without.
_MAX_IDS = 128
_MAX_KEYS = 4096

#: Most messages in an inbox that it is known of that they were not taken.
_MAX_UNTAKEN = 4096

_MAX_NAME = 200


class RoomTextMessage(TextMessage):
    """A text message that was published to a room."""

    __slots__ = ("id", "room")

    #: The room's name; and the message's place in the room's history, ``None`` when it has none.
    room: str
    id: str | None


class RoomBinaryMessage(BinaryMessage):
    """A binary message that was published to a room."""

    __slots__ = ("id", "room")

    room: str
    id: str | None


class Arrived(HookDue):
    """A message of a room."""

    __slots__ = ("_replay", "message")

    def __init__(self, replay: Replay, message: RoomTextMessage | RoomBinaryMessage) -> None:
        self.message = message
        self._replay = replay

    def tell(self, handler: Any) -> object:
        """Note that the client has it, and give it to the hook."""
        if not waits_for_receive(handler):
            self._replay.pass_on(self.message)
        return handler.received_message(self.message)


class Missed(HookDue):
    """Something of a room can be had no more."""

    __slots__ = ("room",)

    def __init__(self, room: str) -> None:
        self.room = room

    def tell(self, handler: Any) -> object:
        """Call the hook."""
        return handler.missed(self.room)


def waits_for_receive(handler: Any) -> bool:
    """Tell whether a message is had when somebody asks for it, and not when the hook is called."""
    return getattr(handler.received_message, "__func__", None) is WebSocket.received_message


class Replay:
    """
    What a client knows of its rooms. Safe from any thread.

    Args:
        positions: Where to go on: room → id of the last message that was had.

    Raises:
        TypeError, ValueError: They are not what :attr:`positions` returned.
    """

    def __init__(self, positions: Mapping[str, str] | None = None) -> None:
        positions = {} if positions is None else dict(positions)
        if len(positions) > MAX_ROOMS:
            raise ValueError(f"positions has {len(positions)} rooms; at most {MAX_ROOMS} can be resumed")
        for room, position in positions.items():
            if not isinstance(room, str) or not isinstance(position, str):
                raise TypeError(f"positions has {room!r}: {position!r}; both are str")
            if not _is_name(room) or not is_id(position):
                raise ValueError(f"positions has {room[:64]!r}: {position[:64]!r}, which no server has said")
        self._lock = RLock()
        #: What the application had last of each room; and what has come, if that waits for receive(). The
        #: room that was heard of last is the last one.
        self._had: dict[str, str] = positions
        self._came = dict(positions)
        #: What has come and may come again, in its order.
        self._ids: dict[tuple[str, str], None] = {}
        self._keys: dict[tuple[str, str | None], None] = {}
        #: (room, id, key) of what waits for receive().
        self._untaken: deque[tuple[str, str | None, str | None]] = deque(maxlen=_MAX_UNTAKEN)

    @property
    def positions(self) -> dict[str, str]:
        """The id of the last message that the application had of each room; a copy."""
        with self._lock:
            return dict(self._had)

    # --- between two connections ---------------------------------------------------------------

    def restart(self) -> None:
        """Forget what has come and nobody will take: it is asked for again."""
        with self._lock:
            for room, position, key in self._untaken:
                self._ids.pop((room, position or ""), None)
                self._keys.pop((room, key or ""), None)
            self._untaken.clear()
            self._came = dict(self._had)

    def build_resume(self) -> tuple[bytes, list[str]]:
        """
        Build the first message of a connection.

        Returns:
            The message; and the rooms that had no room in it, those heard of longest ago.
        """
        with self._lock:
            positions = dict(self._came)
        rooms = list(positions)
        left_out: list[str] = []
        while len(message := _build({"resume": positions})) > MAX_RESUME:
            for room in rooms[: len(rooms) // 10 + 1]:
                del positions[room]
                left_out.append(room)
            rooms = list(positions)
        return message, left_out

    # --- what the server says --------------------------------------------------------------------

    def take(self, data: bytes) -> Arrived | Missed | None:
        """
        Take a message of the protocol, without its mark.

        Returns:
            What the application is to be told of, if anything.

        Raises:
            InvalidBytesError: It does not decode (1007).
            ProtocolException: It is something else than the protocol has (1002).
        """
        said = _parse(data)
        if "room" not in said:
            return None  # what a later version has to say
        room, position, key = _read_place(said)
        if _flag(said, "left"):
            self._forget(room)
            return None
        if _flag(said, "gap"):
            if position is not None:
                self._move(room, position)
            return Missed(room)
        message = _make_message(said)
        if message is None:
            if position is not None:
                self._move(room, position)
            return None
        message.room, message.id = room, position
        return Arrived(self, message) if self._is_new(room, position, key) else None

    def _is_new(self, room: str, position: str | None, key: str | None) -> bool:
        """Note that a message has come; return whether it is the first time."""
        with self._lock:
            is_new = True
            if position is not None:
                is_new = position != self._came.get(room) and (room, position) not in self._ids
                _remember(self._ids, (room, position), _MAX_IDS)
                if is_new:
                    self._set(self._came, room, position)
                    is_new = (room, key) not in self._keys
            elif key is not None:
                is_new = (room, key) not in self._keys
                _remember(self._keys, (room, key), _MAX_KEYS)
            if is_new:
                self._untaken.append((room, position, key))
            else:
                self._settle(room)
            return is_new

    def _move(self, room: str, position: str) -> None:
        with self._lock:
            self._set(self._came, room, position)
            self._settle(room)

    def _forget(self, room: str) -> None:
        with self._lock:
            self._came.pop(room, None)
            self._had.pop(room, None)

    # --- what the application has had --------------------------------------------------------------

    def pass_on(self, message: Any) -> None:
        """Note that the application has a message of a room now."""
        with self._lock:
            wanted = (message.room, message.id)
            while self._untaken and self._untaken.popleft()[:2] != wanted:
                pass
            if message.id is not None:
                self._set(self._had, message.room, message.id)
            self._settle(message.room)

    def _settle(self, room: str) -> None:
        """When nothing of a room waits for the application, it is where the client is."""
        if room in self._came and all(waiting[0] != room for waiting in self._untaken):
            self._set(self._had, room, self._came[room])

    def _set(self, positions: dict[str, str], room: str, position: str) -> None:
        positions.pop(room, None)
        positions[room] = position
        if len(positions) > MAX_ROOMS:
            del positions[next(iter(positions))]


class ReplayingConnection(Connection):
    """
    A connection whose server has chosen the subprotocol.

    Args:
        conn: One that was just made, in whose place it is.
        extensions: Those that the opening handshake agreed on.
        replay: What is known of the rooms.
    """

    __slots__ = ("_begins", "_due", "_replay")

    def __init__(self, conn: Connection, extensions: Sequence[Extension], replay: Replay) -> None:
        super().__init__(conn.side, conn.policy, extensions, now=conn.opened_at)
        self._replay = replay
        self._begins = False  # whether a message is sent in fragments, all of them empty so far
        resume, left_out = replay.build_resume()
        self._due: deque[Event] = deque(map(Missed, left_out))
        super().send_message(resume, True)

    # --- receiving -----------------------------------------------------------------------------

    def has_work(self) -> bool:
        """Tell whether events wait to be taken, or bytes that were not parsed yet."""
        return bool(self._due) or super().has_work()

    @property
    def has_events(self) -> bool:
        """Whether events wait to be taken, or an error behind the last one."""
        return bool(self._due) or super().has_events

    def next_event(self) -> Event | None:
        """Take the oldest event; what is the protocol's becomes the application's, or is dealt with here."""
        if self._due:
            return self._due.popleft()
        while True:
            event = super().next_event()
            if event.__class__ is not MessageReceived:
                return event
            assert isinstance(event, MessageReceived)
            if not (event.is_text and event.data.startswith(MARK)):
                return event
            data = event.data[1:]
            if data.startswith(MARK):
                return MessageReceived(data, True)
            try:
                due = self._replay.take(data)
            except WebSocketException as error:
                self.fail(error.close_code, str(error), self._now)
                return None
            if due is not None:
                return due

    # --- sending -------------------------------------------------------------------------------

    def send_message(self, data: Buffer, is_text: bool) -> None:
        """Send a message in one frame, as :meth:`.Connection.send_message`."""
        super().send_message(escape(data) if is_text else data, is_text)

    def send_prepared(self, message: PreparedMessage) -> None:
        """Send a message that goes to many, as :meth:`.Connection.send_prepared`."""
        self.send_message(message.data, message.is_text)

    def send_fragment(self, data: Buffer, is_text: bool, *, first: bool, fin: bool) -> None:
        """Send one fragment of a message, as :meth:`.Connection.send_fragment`."""
        if is_text and (first or self._begins):
            self._begins = not len(data)
            data = escape(data)
        super().send_fragment(data, is_text, first=first, fin=fin)


def adopt(client: ClientBase, replay: Replay, conn: Connection) -> Connection:
    """Return what a connection of a client is to be: the same, unless its server has chosen to replay."""
    if client.subprotocol != SUBPROTOCOL:
        return conn
    return ReplayingConnection(conn, client.extensions or (), replay)


# --- the protocol's messages -----------------------------------------------------------------------


def _build(said: Mapping[str, object]) -> bytes:
    return MARK + json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _parse(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise InvalidBytesError("a message of ws4py.replay.v1 is not JSON") from None
    if not isinstance(said, dict):
        raise ProtocolException("a message of ws4py.replay.v1 is not a JSON object")
    return said


def _make_message(said: Mapping[str, Any]) -> Any:
    """Return the message of the application, ``None`` when there is none."""
    text, encoded = said.get("data"), said.get("base64")
    try:
        if isinstance(text, str) and encoded is None:
            return RoomTextMessage.from_bytes(text.encode())
        if isinstance(encoded, str) and text is None:
            return RoomBinaryMessage.from_bytes(base64.b64decode(encoded, validate=True))
    except ValueError:
        raise InvalidBytesError("a message of ws4py.replay.v1 has data that is none") from None
    if text is None and encoded is None:
        return None
    raise ProtocolException('a message of ws4py.replay.v1 has either "data" or "base64", which is a string')


def _read_place(said: Mapping[str, Any]) -> tuple[str, str | None, str | None]:
    """Return the room, the id and the key."""
    room, position, key = said.get("room"), said.get("id"), said.get("key")
    if not isinstance(room, str) or not _is_name(room):
        raise ProtocolException("a message of ws4py.replay.v1 has a room that is none")
    if position is not None and not is_id(position):
        raise ProtocolException("a message of ws4py.replay.v1 has an id that is none")
    if key is not None and not (isinstance(key, str) and _is_name(key)):
        raise ProtocolException("a message of ws4py.replay.v1 has a key that is none")
    return room, position, key


def _flag(said: Mapping[str, Any], name: str) -> bool:
    value = said.get(name, False)
    if not isinstance(value, bool):
        raise ProtocolException(f'a message of ws4py.replay.v1 has a "{name}" that is not true')
    return value


def _is_name(value: str) -> bool:
    """Tell whether something may be a room's name, or a key: as a hub takes them, and sent as UTF-8."""
    if not 1 <= len(value) <= _MAX_NAME:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remember(known: dict[Any, None], what: tuple[str, str], limit: int) -> None:
    known.pop(what, None)
    known[what] = None
    if len(known) > limit:
        del known[next(iter(known))]
