"""
Rooms across processes and machines, through Redis or Valkey.

::

    hub = Hub("redis://localhost:6379/0")           # also rediss:// and unix:///run/redis.sock
    set_hub(hub)                                    # that of every WebSocket in this process

    hub.publish("lobby", "lunch is ready")          # a view, a management command, a job in a queue

It needs the extra ``redis``. Nothing is connected before the first use in a process; a forked worker has
connections of its own. Two threads (greenlets, where gevent has patched them) speak to the Redis; nobody who
publishes, joins or leaves waits for it, unless ``queue_policy="wait"`` wants that.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from .backplane import Envelope
from .entries import KeptMessage, Page
from .redis_history import RedisHistory, make_rooms
from .redis_options import Options
from .redis_session import Session
from .spans import History, Span, parse_history

__all__ = ["RedisBackplane"]


class RedisBackplane:
    """
    Connects the hubs of all processes that use the same Redis.

    A message gets to each member once at most, and what one process publishes arrives in its order. When the
    Redis goes away, connections stay open and members in the same process get everything as before; what is
    published then is kept, within bounds, and sent when it is back. What others publish while this process is
    not connected is missed. Members of other processes are not seen meanwhile.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://`` with the options of redis-py behind a ``?``.
        queue_policy: What becomes of messages that cannot be sent at once. ``"drop-oldest"`` keeps them, and
            beyond the bounds drops what has waited longest. ``"raise"`` keeps nothing for a Redis that is
            away, and raises :exc:`ConnectionError`. ``"wait"`` waits until Redis has the message, and raises
            it after ``publish_timeout``; where a loop of asyncio runs it cannot wait, and is as ``"raise"``.
        publish_timeout: Seconds for that, and for what is still to be sent when the process ends.
        max_message_size: Most bytes of a message, both ways; ``None`` for no limit.
        max_queue: Most messages that wait.
        max_queue_size: Most bytes of them together.
        presence_timeout: Seconds after which the members of a process that was killed vanish.
        prefix: What keys and channels begin with; who shares a Redis and no rooms has another one.
        history: How much of each room is kept; as for :class:`~.Hub`.
        history_timeout: Seconds for which the history of a room stays that nobody publishes to, and, where a
            time says how much is kept, for which it is known then that it is gone.

    Raises:
        ImportError: redis-py is missing.
        ValueError: The URL is of another kind, or a number makes no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        queue_policy: str = "drop-oldest",
        publish_timeout: float = 2.0,
        max_message_size: int | None = 1_048_576,
        max_queue: int = 1000,
        max_queue_size: int = 8 * 1_048_576,
        presence_timeout: float = 30.0,
        prefix: str = "ws4py",
        history: History | None = None,
        history_timeout: float = 86_400.0,
    ) -> None:
        self._options = Options(
            url,
            queue_policy,
            publish_timeout,
            max_message_size,
            max_queue,
            max_queue_size,
            presence_timeout,
            prefix,
            history_timeout,
        )
        self._options.check()
        self._span_of = None if history is None else parse_history(history)
        self._follow: tuple[Callable[[str], object], Callable[[float], object]] = (_ignore, _ignore)
        self._session: Session | None = None
        # Here, so that it comes late among the calls at the exit: connections that end there leave rooms.
        weakref.finalize(self, atexit.unregister, _close_at_exit(self)).atexit = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._options.where}>"

    # --- what a hub calls ----------------------------------------------------------------

    def start(
        self,
        deliver: Callable[[Envelope], object],
        vanished: Callable[[str, str, Mapping[str, Any]], object],
    ) -> None:
        """Begin to connect."""
        self.close()
        # A forked child makes its own; that of its parent is left as it is, with its locks and its sockets.
        make_kept = None
        if self._span_of is not None:
            make_kept = functools.partial(make_rooms, self._options, self._span_of, deliver, self._follow)
        self._session = Session(self._options, deliver, vanished, make_kept)
        self._session.start()

    def close(self) -> None:
        """
        Send what there still is, within ``publish_timeout``, and end; again does nothing.

        It is called when the interpreter exits. Who ends otherwise, such as a child of
        :mod:`multiprocessing`, calls ``hub.close()``.
        """
        session, self._session = self._here, None
        if session is not None:
            session.close()

    def publish(self, room: str, payload: bytes, is_text: bool, exclude: tuple[str, ...] = ()) -> None:
        """
        Let Redis have a message.

        Raises:
            ConnectionError: It cannot be sent, and ``queue_policy`` says that this is to be known.
            ValueError: It is longer than ``max_message_size``.
        """
        limit = self._options.max_message_size
        session = self._here
        if limit is not None and len(payload) > limit:
            if session is not None:
                session.deliver_here(room, payload, is_text, exclude)
            raise ValueError(
                f"a message for other processes has at most {limit} bytes (max_message_size); "
                f"this has {len(payload)}, and only members in this process have got it"
            )
        if session is None:
            raise ConnectionError("the backplane is not at work: publish by the hub that this was given to")
        policy = self._options.queue_policy
        timeout = self._options.publish_timeout
        waits = policy == "wait" and not _has_loop()
        try:
            if policy != "drop-oldest" and not waits:
                session.check_here()
            within = None if policy == "drop-oldest" else timeout if waits else 0.0
            item = session.add(room, payload, is_text, exclude, within=within)
        except ConnectionError:
            session.deliver_here(room, payload, is_text, exclude)
            raise
        if waits:
            session.wait(item, timeout)

    def echoes(self, room: str) -> bool:
        """Return whether messages come back with their ids; else members here have them from their hub."""
        return self.keeps(room) and self._here is not None

    def subscribe(self, room: str) -> None:
        """Bring what others publish to a room; a moment passes until they reach it."""
        session = self._here
        if session is not None:
            session.subscribe(room)

    def unsubscribe(self, room: str) -> None:
        """Bring no more of a room."""
        session = self._here
        if session is not None:
            session.unsubscribe(room)

    def enter(self, room: str, member_id: str, info: Mapping[str, Any]) -> None:
        """Let others know of a member."""
        session = self._here
        if session is not None:
            session.enter(room, member_id, info)

    def exit(self, room: str, member_id: str) -> None:
        """Let others know that a member has left; when the backplane has ended they know already."""
        session = self._here
        if session is not None:
            session.exit(room, member_id)

    def members(self, room: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the members in other processes; none while the Redis is away."""
        session = self._here
        return {} if session is None else session.members(room)

    # --- histories, as a hub reads them ----------------------------------------------------

    is_local = False

    def keep(self, span_of: Callable[[str], Span | None]) -> None:
        """Keep histories from the next start on."""
        self._span_of = span_of

    def follow(self, ready: Callable[[str], object], wait_placed: Callable[[float], object]) -> None:
        """From the next start on, tell when a room can be read, and wait until that is done."""
        self._follow = ready, wait_placed

    def keeps(self, room: str) -> bool:
        """Return whether a room has a history."""
        return self._span_of is not None and self._span_of(room) is not None

    def is_ready(self, room: str) -> bool:
        """Return whether it is subscribed to."""
        session = self._here
        return session is not None and session.hears(room)

    def read(self, room: str, since: str | None, max_count: int) -> Page:
        """Read what comes after an id."""
        return self._history.read(room, since, max_count)

    def read_last(self, room: str, since: str | None, max_count: int) -> list[KeptMessage]:
        """Read the last messages."""
        return self._history.read_last(room, since, max_count)

    @property
    def _history(self) -> RedisHistory:
        session = self._here
        if session is None or session.kept is None:
            raise ConnectionError("the backplane is not at work")
        return session.kept.history

    # --- figures -------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether messages go out and come in at this moment, in this process."""
        session = self._here
        return session is not None and session.is_connected

    def stats(self) -> dict[str, int]:
        """
        Return the figures of this process, since it began.

        ``sent`` and ``received`` count messages; ``queued`` and ``queued_bytes`` are what waits now. Those
        that got lost are ``dropped`` (by the bounds, or when the process ended), ``refused`` (by Redis) and
        ``malformed`` (what came and was no message, or too long). ``repeated`` ones came twice and were left
        out, ``outages`` counts lost connections, and ``rooms`` those that are subscribed.
        """
        session = self._here
        if session is None:
            raise RuntimeError(
                "the backplane is not at work: its hub starts it when somebody joins or publishes"
            )
        return session.stats()

    @property
    def _here(self) -> Session | None:
        """What is at work in this process: a forked child has nothing to do with what its parent has."""
        session = self._session
        return session if session is not None and session.pid == os.getpid() else None


def _close_at_exit(backplane: RedisBackplane) -> Callable[[], None]:
    """Let a backplane be closed when the interpreter exits, should it still be there."""
    reference = weakref.ref(backplane)

    def close() -> None:
        found = reference()
        if found is not None:
            found.close()

    return atexit.register(close)


def _ignore(_: object) -> None:
    """Nobody follows."""


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
