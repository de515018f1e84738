"""
Who is in a room, as it stands in Redis.

For each room there is a hash with a field for each member, and for each hub a key that says that it is
alive. That key expires: what a killed process has left in the hashes counts no more from then on.

A register has the names of the hubs that have not ended in order. What a hub that is dead, and still
registered, has left in a hash is removed by a :class:`~.Reaper`, which tells that these members have left;
what is of a hub that is neither alive nor registered means nothing, and is removed by who reads it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .members import MAX_INFO

__all__ = ["REMOVE", "Change", "Command", "Keys", "Presence", "parse_member", "read_members"]

#: What Redis is to do.
Command = tuple[str | bytes | int, ...]
#: A value is a JSON array of a time and the info.
_MAX_VALUE = MAX_INFO + 100
#: How many commands a beat has, and behind them one that asks for the time.
_BEAT = 7
#: Removes fields of a hub that is not alive from a hash, if it is (1) or is not (0) in the register; returns
#: for each whether it was there. Keys: the hash, that which says that the hub is alive, the register.
#: Arguments: that 1 or 0, the hub's name, the fields.
REMOVE = """
local registered = redis.call('ZSCORE', KEYS[3], ARGV[2]) and '1' or '0'
local removed = {}
if redis.call('EXISTS', KEYS[2]) == 1 or registered ~= ARGV[1] then return removed end
for number = 3, #ARGV do removed[number - 2] = redis.call('HDEL', KEYS[1], ARGV[number]) end
return removed
"""


class Keys(NamedTuple):
    """The names of keys and channels. A database is a part of them, since channels are in none."""

    prefix: str
    database: int

    def channel(self, room: str) -> bytes:
        """Return the channel of a room."""
        return f"{self.prefix}:{self.database}:room:{room}".encode()

    def control(self, origin: bytes) -> bytes:
        """Return the channel on which a hub wakes itself."""
        return f"{self.prefix}:{self.database}:hub:{origin.hex()}".encode()

    def members(self, room: str) -> bytes:
        """Return the hash of a room's members."""
        return f"{self.prefix}:members:{room}".encode()

    def alive(self, origin: str) -> bytes:
        """Return the key that lives as long as a hub does."""
        return f"{self.prefix}:alive:{origin}".encode()

    def history(self, room: str) -> bytes:
        """Return the stream of a room's messages."""
        return f"{self.prefix}:history:{room}".encode()

    def last(self, room: str) -> bytes:
        """Return the key that has the last id of a room's history, also when that is gone."""
        return f"{self.prefix}:last:{room}".encode()

    def sent(self, origin: bytes) -> bytes:
        """Return the key that has the number of the last message that a hub has sent to a history."""
        return f"{self.prefix}:sent:{origin.hex()}".encode()

    @property
    def hubs(self) -> bytes:
        """The register of hubs: a sorted set of names, by the time when each was last heard of; Redis's."""
        return f"{self.prefix}:hubs".encode()


class Change(NamedTuple):
    """What is to be changed in Redis."""

    room: str
    member_id: str
    #: ``None`` when the member has left.
    value: bytes | None


class Presence:
    """
    Who is in the rooms of one process, and what of that Redis does not know yet.

    It is a state and no queue: an outage makes it no longer. After each, all of it is told again under
    another name, and what was told under the one before is void.

    Args:
        timeout: Seconds after which the members of a process that is no more vanish.
    """

    def __init__(self, keys: Keys, origin: bytes, timeout: float) -> None:
        self._keys = keys
        self._origin = origin.hex()
        self._times = 0  # it was connected
        self._former: list[str] = []  # names that Redis is not known to have forgotten
        self._is_registered = False
        self._was_refused = False
        self._is_told = False
        self._timeout = timeout
        # What to add to the time that passes here to have Redis's, which is the same for all.
        self._offset: float | None = None
        self._members: dict[tuple[str, str], bytes] = {}
        self._changed: dict[tuple[str, str], None] = {}
        # Rooms whose hashes are there for a while after the last of this process has touched them.
        self._refreshed = time.monotonic()

    def __bool__(self) -> bool:
        return bool(self._changed)

    # --- under the lock of the session ---

    def enter(self, room: str, member_id: str, info: Mapping[str, Any]) -> None:
        """Note that somebody is in a room."""
        key = (room, member_id)
        at = json.loads(self._members[key])[0] if key in self._members else time.time()
        value = json.dumps([at, dict(info)], ensure_ascii=False, separators=(",", ":"))
        self._members[key] = value.encode()
        self._note(key)

    def exit(self, room: str, member_id: str) -> None:
        """Note that somebody has left it."""
        self._members.pop((room, member_id), None)
        self._note((room, member_id))

    def begin(self) -> None:
        """Tell all, under another name: there is a connection."""
        if self._times:
            self._former.append(self._name)
        self._times += 1
        self._is_registered = self._was_refused = False
        self._is_told = True
        self._offset = None  # it may be another machine's by now
        self.tell_all()

    def begun(self, answers: Sequence[Any]) -> None:
        """Note what Redis has answered to :meth:`beginning` and :meth:`beat`, nothing of which was fatal."""
        *others, now = answers
        self._former.clear()
        self._was_refused = _has_error(others)
        self._is_registered = not self._was_refused
        self._note_time(now)

    def note(self, answers: Sequence[Any], *, is_beat: bool) -> bool:
        """
        Note what Redis has answered to commands; return whether it takes this hub for alive.

        Args:
            is_beat: Whether the first ones are those of :meth:`beat`.
        """
        if is_beat:
            answers = list(answers)
            self._note_time(answers.pop(_BEAT))
        self._was_refused |= _has_error(answers)
        if not is_beat:
            return True
        is_known = answers[0] == 1 and answers[1] is not None
        self._is_registered = is_known and not _has_error(answers[:_BEAT])
        if self._was_refused or not self._is_registered:
            self.tell_all()  # it was thought to be dead, or something was not taken
        self._was_refused = False
        return self._is_registered

    def _note_time(self, answer: Any) -> None:
        match answer:  # an error where that may not be asked; then its own clock has to do
            case [bytes(seconds), bytes(_)]:
                self._offset = int(seconds) - time.monotonic()

    def rooms(self) -> list[str]:
        """Return the rooms that this process has members in."""
        return list(dict.fromkeys(room for room, _ in self._members))

    def end(self) -> None:
        """Tell nothing for the time being: the connection is lost."""
        self._is_told = False
        self._changed.clear()

    def tell_all(self) -> None:
        """Let Redis be told all again: it may have lost it."""
        self._changed.update(dict.fromkeys(self._members))

    def _note(self, key: tuple[str, str]) -> None:
        if self._is_told:
            self._changed[key] = None

    def take(self, count: int) -> list[Change]:
        """Return at most so many changes, the oldest first."""
        keys = [key for key, _ in zip(self._changed, range(count), strict=False)]
        for key in keys:
            del self._changed[key]
        return [Change(*key, self._members.get(key)) for key in keys]

    def needs_refreshing(self, now: float) -> list[str]:
        """Return the rooms whose hashes are to be kept, once in a while."""
        if now - self._refreshed < self._hash_timeout / 3000:
            return []
        self._refreshed = now
        return self.rooms()

    # --- commands ---

    @property
    def _hash_timeout(self) -> int:
        """Milliseconds after which what nobody is in, and nobody reads, goes at last."""
        return int(100_000 * self._timeout)

    @property
    def _name(self) -> str:
        return f"{self._origin}-{self._times}"

    def beginning(self) -> list[Command]:
        """Return what says that all that was told before is void."""
        return self._voiding(self._former) if self._former else []

    def beat(self) -> list[Command]:
        """Return what asks whether this hub is thought to be alive, and says that it is."""
        alive, hubs = self._keys.alive(self._name), self._keys.hubs
        # By a clock that differs nobody else may be taken for long gone.
        now = time.time() if self._offset is None else time.monotonic() + self._offset
        gone = "-inf" if self._offset is None else f"{now - self._hash_timeout / 1000:.3f}"
        length = int(1000 * self._timeout)
        # What an old connection still had to say, and Redis reads late, registers no name that is void. One
        # that has no memory left refuses to set a key, but not to keep it longer.
        only = ("XX",) if self._is_registered else ()
        return [  # _BEAT of them, and the time
            ("EXISTS", alive),
            ("ZSCORE", hubs, self._name),
            ("PEXPIRE", alive, length),
            ("SET", alive, b"1", "PX", length),
            ("ZADD", hubs, *only, f"{now:.3f}", self._name),
            ("ZREMRANGEBYSCORE", hubs, "-inf", gone),
            ("PEXPIRE", hubs, self._hash_timeout),
            ("TIME",),
        ]

    def ending(self) -> list[Command]:
        """Return what says that this hub is no more, in order: its members have not vanished."""
        return self._voiding([self._name])

    def _voiding(self, names: list[str]) -> list[Command]:
        # First out of the register: who is in it and not alive was killed.
        return [("ZREM", self._keys.hubs, *names), ("DEL", *(self._keys.alive(name) for name in names))]

    def changing(self, changes: Iterable[Change]) -> list[Command]:
        """Return what makes changes."""
        commands: list[Command] = []
        for room, member_id, value in changes:
            field = f"{self._name}:{member_id}".encode()
            key = self._keys.members(room)
            if value is None:
                commands.append(("HDEL", key, field))
            else:
                commands.append(("HSET", key, field, value))
                commands += self.refreshing([room])
        return commands

    def refreshing(self, rooms: Iterable[str]) -> list[Command]:
        """Return what keeps the hashes of rooms."""
        return [("PEXPIRE", self._keys.members(room), self._hash_timeout) for room in rooms]


class Found(NamedTuple):
    """What a hash says of a room."""

    members: dict[str, Mapping[str, Any]]
    #: How many fields say nothing that can be read.
    malformed: int


def read_members(client: Any, keys: Keys, room: str, own: bytes) -> Found:
    """
    Ask Redis who is in a room.

    Args:
        own: The origin of the hub that asks: it knows its own members better.

    Returns:
        The members of other processes that are alive, in the order of coming as their clocks tell it.
    """
    from redis.exceptions import ResponseError

    key = keys.members(room)
    by_origin: dict[str, list[tuple[float, str, Mapping[str, Any]]]] = {}
    fields: dict[str, list[bytes]] = {}
    malformed = 0
    for field, value in client.hgetall(key).items():
        try:
            origin, member_id, at, info = parse_member(field, value)
        except (ValueError, TypeError, RecursionError):
            malformed += 1
            continue
        by_origin.setdefault(origin, []).append((at, member_id, info))
        fields.setdefault(origin, []).append(field)
    origins = list(by_origin)
    for origin, is_alive in zip(origins, _ask_alive(client, keys, origins), strict=True):
        if is_alive and not origin.startswith(own.hex()):
            continue
        del by_origin[origin]
        # Those of a hub that is registered are left to who tells that they have left.
        if not is_alive:
            with contextlib.suppress(ResponseError):  # what cannot be removed means nothing nevertheless
                client.eval(REMOVE, 3, key, keys.alive(origin), keys.hubs, 0, origin, *fields[origin])
    everyone = sorted((one for some in by_origin.values() for one in some), key=lambda one: one[:2])
    return Found({member_id: info for _, member_id, info in everyone}, malformed)


def parse_member(field: bytes, value: bytes) -> tuple[str, str, float, Mapping[str, Any]]:
    """
    Take a field of a hash apart: the hub's name, the member's id, since when, and the info.

    Raises:
        ValueError, TypeError, RecursionError: It says nothing of a member.
    """
    origin, colon, member_id = field.decode().partition(":")
    if not colon or not member_id or len(value) > _MAX_VALUE:
        raise ValueError("no field of a member")
    at, info = json.loads(value.decode())
    if not isinstance(info, dict):
        raise TypeError("what is known of a member is a mapping")
    return origin, member_id, float(at), info


def _has_error(answers: Iterable[Any]) -> bool:
    return any(isinstance(answer, Exception) for answer in answers)


def _ask_alive(client: Any, keys: Keys, origins: list[str]) -> list[int]:
    if not origins:
        return []
    pipe = client.pipeline(transaction=False)
    for origin in origins:
        pipe.exists(keys.alive(origin))
    alive: list[int] = pipe.execute()
    return alive
