"""
Who is in a room, as it stands in Redis.

For each room there is a hash with a field for each member, and for each hub a key that says that it is
alive. That key expires: what a killed process has left in the hashes counts no more from then on, and is
removed by who reads it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .members import MAX_INFO

__all__ = ["Change", "Command", "Keys", "Presence", "read_members"]

#: What Redis is to do.
Command = tuple[str | bytes | int, ...]
#: A value is a JSON array of a time and the info.
_MAX_VALUE = MAX_INFO + 100


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
        self._is_told = False
        self._timeout = timeout
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
        self._times += 1
        self._is_told = True
        self.tell_all()

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
        return list(dict.fromkeys(room for room, _ in self._members))

    # --- commands ---

    @property
    def _hash_timeout(self) -> int:
        """Milliseconds after which what nobody is in, and nobody reads, goes at last."""
        return int(100_000 * self._timeout)

    @property
    def _alive(self) -> bytes:
        return self._keys.alive(f"{self._origin}-{self._times}")

    def beginning(self) -> list[Command]:
        """Return what says that all that was told before is void."""
        return [("DEL", self._keys.alive(f"{self._origin}-{self._times - 1}"))]

    def beat(self) -> list[Command]:
        """Return what asks whether this hub is thought to be alive, and says that it is."""
        return [("EXISTS", self._alive), ("SET", self._alive, b"1", "PX", int(1000 * self._timeout))]

    def ending(self) -> list[Command]:
        """Return what says that this hub is no more."""
        return [("DEL", self._alive)]

    def changing(self, changes: Iterable[Change]) -> list[Command]:
        """Return what makes changes."""
        commands: list[Command] = []
        for room, member_id, value in changes:
            field = f"{self._origin}-{self._times}:{member_id}".encode()
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
    key = keys.members(room)
    by_origin: dict[str, list[tuple[float, str, Mapping[str, Any]]]] = {}
    fields: dict[str, list[bytes]] = {}
    malformed = 0
    for field, value in client.hgetall(key).items():
        try:
            origin, member_id, at, info = _parse_member(field, value)
        except (ValueError, TypeError, RecursionError):
            malformed += 1
            continue
        by_origin.setdefault(origin, []).append((at, member_id, info))
        fields.setdefault(origin, []).append(field)
    others = [origin for origin in by_origin if not origin.startswith(own.hex())]
    by_origin = {origin: by_origin[origin] for origin in others}
    dead = [
        origin for origin, alive in zip(others, _ask_alive(client, keys, others), strict=True) if not alive
    ]
    for origin in dead:
        del by_origin[origin]
        _remove_dead(client, keys.alive(origin), key, fields[origin])
    everyone = sorted((one for some in by_origin.values() for one in some), key=lambda one: one[:2])
    return Found({member_id: info for _, member_id, info in everyone}, malformed)


def _parse_member(field: bytes, value: bytes) -> tuple[str, str, float, Mapping[str, Any]]:
    origin, colon, member_id = field.decode().partition(":")
    if not colon or not member_id or len(value) > _MAX_VALUE:
        raise ValueError("no field of a member")
    at, info = json.loads(value.decode())
    if not isinstance(info, dict):
        raise TypeError("what is known of a member is a mapping")
    return origin, member_id, float(at), info


def _ask_alive(client: Any, keys: Keys, origins: list[str]) -> list[int]:
    if not origins:
        return []
    pipe = client.pipeline(transaction=False)
    for origin in origins:
        pipe.exists(keys.alive(origin))
    alive: list[int] = pipe.execute()
    return alive


def _remove_dead(client: Any, alive: bytes, key: bytes, fields: list[bytes]) -> None:
    """Remove what a dead hub has left, unless it turns out to be alive at this moment."""
    from redis.exceptions import WatchError

    with client.pipeline() as pipe:
        try:
            pipe.watch(alive)
            if not pipe.exists(alive):
                pipe.multi()
                pipe.hdel(key, *fields)
                pipe.execute()
        except WatchError:  # it is alive again
            return
