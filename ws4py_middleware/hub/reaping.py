"""
Who tells that the members of a killed process have left: it cannot do so itself.

One of the processes that have members in the same room does. It takes what the dead one has left out of the
room's hash, which Redis lets succeed only once, and whoever it has succeeded for tells. When there is no such
process, it stays there until there is one.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from .outages import Complaints, Delays
from .presence import REMOVE, Command, parse_member
from .redis_options import Options

__all__ = ["Reaper", "Vanished"]

logger = logging.getLogger("ws4py_middleware")

#: Is told the room, the id of a member, and what is known of it.
Vanished = Callable[[str, str, Mapping[str, Any]], object]
_Ask = Callable[[list[Command]], list[Any]]
#: Rooms to be looked into, and for each the dead.
_Work = dict[str, frozenset[str]]

#: Most names in the register that are asked about, and fields of a hash that are read or removed at once.
_HUBS = 10_000
_FIELDS = 1000
_NAME = re.compile(rb"[0-9a-f]{16}-[0-9]{1,9}")


class Reaper:
    """
    Looks for processes that were killed, and tells which members have gone with them.

    It looks in the thread of the sender, which costs two commands when nobody has died; what follows from
    it is done in a thread of its own, since callbacks may take their time, and publish.

    Args:
        origin: Of this hub.
        rooms: Returns the rooms that have members in this process.
        vanished: Is called for each member that has gone.
    """

    def __init__(
        self,
        options: Options,
        origin: bytes,
        rooms: Callable[[], list[str]],
        vanished: Vanished,
        complaints: Complaints,
    ) -> None:
        self._options = options
        self._keys = options.keys
        self._origin = origin.hex().encode()
        self._rooms = rooms
        self._vanished = vanished
        self._complaints = complaints
        self._lock = threading.Lock()  # for the next two
        # Who was found dead before, and the rooms that have been looked into since.
        self._dead: frozenset[str] = frozenset()
        self._done: frozenset[str] = frozenset()
        self._thread: threading.Thread | None = None
        self._lost_at: float | None = None
        self._ready_at = 0.0
        self._is_ended = False

    def lose(self, now: float) -> None:
        """Note that there is no connection."""
        if self._lost_at is None:
            self._lost_at = now

    def wait(self, now: float) -> None:
        """
        Believe nobody dead for a while: there is a connection, or Redis has not taken what it should.

        Others may have been cut off as well. They have as long to come back as they have to be heard of.
        """
        delay = self._options.presence_timeout
        if self._lost_at is not None and now - self._lost_at >= Delays.SHORT:
            delay = max(delay, 1.5 * Delays.LONGEST)
        self._lost_at = None
        self._ready_at = max(self._ready_at, now + delay)
        self._forget()

    def end(self) -> None:
        """Tell nobody any more."""
        self._is_ended = True

    def _forget(self) -> None:
        with self._lock:
            self._dead = self._done = frozenset()

    def look(self, ask: _Ask, now: float) -> None:
        """
        See whether somebody has died, and let the consequences be drawn.

        Args:
            ask: Sends commands, and returns the answers.
        """
        if now < self._ready_at or (self._thread is not None and self._thread.is_alive()):
            return
        names = ask([("ZREVRANGE", self._keys.hubs, 0, _HUBS - 1)])[0]
        if isinstance(names, Exception):
            self._complaints.tell("register", "the register of hubs cannot be read: %s", names)
            return
        others = [name.decode() for name in names if _NAME.fullmatch(name) and name[:16] != self._origin]
        answers = ask([("EXISTS", self._keys.alive(name)) for name in others]) if others else []
        dead = frozenset(name for name, answer in zip(others, answers, strict=True) if answer == 0)
        work = self._plan(dead)
        if work:
            # For this alone: the connection of the sender has other things to do.
            self._thread = threading.Thread(
                target=self._run, args=(work,), name="ws4py-hub-reaper", daemon=True
            )
            self._thread.start()

    def _plan(self, dead: frozenset[str]) -> _Work:
        """Return what is to be looked into: new rooms for all the dead, the others for the new dead."""
        rooms = frozenset(self._rooms()) if dead else frozenset()
        with self._lock:
            work = {room: dead - self._dead if room in self._done else dead for room in rooms}
            self._dead, self._done = dead, rooms
        return {room: names for room, names in work.items() if names}

    # --- the thread ----------------------------------------------------------------------

    def _run(self, work: _Work) -> None:
        from redis.exceptions import RedisError, ResponseError

        client = self._options.make_client()
        try:
            for room, names in work.items():
                if self._is_ended:
                    return
                try:
                    for member_id, info in self._take(client, room, names):
                        with contextlib.suppress(SystemExit):  # a callback's: there is nothing else to end
                            self._vanished(room, member_id, info)
                except ResponseError as error:  # such as: that key is no hash
                    self._complaints.tell("room", "who has gone from %r could not be told: %s", room, error)
        except (RedisError, OSError) as error:
            self._forget()  # all of it is looked into again
            self._complaints.tell("reaper", "who has gone with a killed process could not be told: %s", error)
        except Exception:
            logger.exception("an error of ws4py_middleware; who has gone with a killed process is not told")
        finally:
            client.connection_pool.disconnect()

    def _take(self, client: Any, room: str, names: frozenset[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Take the members of dead hubs out of a room; yield those that nobody else has taken."""
        key = self._keys.members(room)
        found: dict[str, list[tuple[float, str, bytes, Mapping[str, Any]]]] = {}
        pattern = f"{next(iter(names))}:*" if len(names) == 1 else None
        for field, value in client.hscan_iter(key, match=pattern, count=_FIELDS):
            try:
                name, member_id, at, info = parse_member(field, value)
            except (ValueError, TypeError, RecursionError):
                continue  # who reads the members counts it
            if name in names:
                found.setdefault(name, []).append((at, member_id, field, info))
        for name, members in found.items():
            some = iter(sorted(members, key=lambda member: member[:2]))
            while chunk := list(islice(some, _FIELDS)):
                fields = [field for _, _, field, _ in chunk]
                removed = client.eval(
                    REMOVE, 3, key, self._keys.alive(name), self._keys.hubs, 1, name, *fields
                )
                for (_, member_id, _, info), is_mine in zip(chunk, removed, strict=False):
                    if is_mine:
                        yield member_id, info
