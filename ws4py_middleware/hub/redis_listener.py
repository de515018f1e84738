"""The thread that hears what others publish."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Any

from ..corks import Cork
from .backplane import Envelope
from .outages import Bell, Complaints, keep_connected
from .parcels import Parcel, split_place, unpack_parcel
from .redis_history import KeptRooms, make_key
from .redis_options import Options

__all__ = ["Listener"]

logger = logging.getLogger("ws4py_middleware")

#: Seconds of silence after which it asks whether the Redis is still there, and again until it gives up.
_SILENCE = 5.0
#: Most other hubs whose last numbers are remembered.
_ORIGINS = 10_000
#: Most channels in one command.
_CHANNELS = 1000
#: Most messages, bytes and seconds that wait for each other, so that all of them leave at once.
_PIECE = 32
_PIECE_SIZE = 65_536
_PIECE_TIME = 0.005
#: Messages after which others may have their turn, where threads are greenlets.
_TURN = 64


class Listener:
    """
    Hears the messages of the rooms that are wanted, and gives them to ``deliver``.

    What is wanted may change at any time, from any thread; the connection is touched by its own thread only.

    Args:
        origin: That of this process's own messages, which are left out: its members have got them.
        bell: Rings when a connection is made, here or by the sender.
        lost: Is called when the connection is lost.
    """

    def __init__(
        self,
        options: Options,
        origin: bytes,
        deliver: Callable[[Envelope], object],
        complaints: Complaints,
        bell: Bell,
        lost: Callable[[], None],
        kept: KeptRooms | None = None,
    ) -> None:
        self._options = options
        self._origin = origin
        self._control = options.keys.control(origin)
        self._deliver = deliver
        self._complaints = complaints
        self._lock = threading.RLock()  # for the next six
        self._current = threading.Condition(
            self._lock
        )  # for who waits until it has subscribed to what is wanted
        self._is_new = True  # its thread has found nothing out yet
        self._unconfirmed = 0
        self._is_noting = False
        self._wanted: dict[bytes, str] = {}
        self._news: dict[bytes, None] = {}  # channels to be subscribed to, or no more
        self._is_ended = False
        self._bell = bell
        self._connection: Any = None  # its thread's
        self._lost = lost
        self._kept = kept
        self._subscribed: set[bytes] = set()
        self._last: OrderedDict[bytes, int] = OrderedDict()
        #: Whether it is connected.
        self.is_listening = False
        #: What it has seen.
        self.figures = dict.fromkeys(("received", "malformed", "repeated", "outages", "rooms"), 0)

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="ws4py-hub-listener", daemon=True).start()

    def end(self) -> None:
        """Let the thread end; it may take a second, and nobody has to wait for that."""
        self._is_ended = True
        self._bell.ring()

    def want(self, channel: bytes, room: str) -> None:
        """Hear a room from now on."""
        with self._lock:
            self._wanted[channel] = room
            self._note(channel)

    def wants(self, channel: bytes) -> bool:
        """Return whether a room is to be heard."""
        return channel in self._wanted

    def forget(self, channel: bytes) -> None:
        """Hear it no more."""
        with self._lock:
            self._wanted.pop(channel, None)
            self._note(channel)

    def is_subscribed(self, channel: bytes) -> bool:
        """Return whether a channel is heard."""
        return channel in self._subscribed

    def wait_current(self, timeout: float) -> None:
        """Wait until all that was wanted before is subscribed to, while it is connected or has just begun."""
        with self._lock:
            self._current.wait_for(
                lambda: not (self._is_new or (self._is_noting and (self._news or self._unconfirmed))), timeout
            )

    def _note(self, channel: bytes) -> None:
        if self._is_noting:  # else all that is wanted is subscribed to, when there is a connection
            self._news[channel] = None

    # --- the thread ----------------------------------------------------------------------

    def _run(self) -> None:
        keep_connected(self._connect, self._lose, self._pause)

    def _connect(self, is_back: Callable[[], None]) -> None:
        # The same for all attempts: to make one takes longer than to find out that nobody is there.
        connection = self._connection = self._connection or self._options.make_pool().make_connection()
        try:
            connection.connect()
            self._listen(connection, is_back)
        finally:
            connection.disconnect()

    def _pause(self, delay: float) -> bool:
        if not self._is_ended:
            self._bell.wait(delay)
        return not self._is_ended

    def _lose(self, why: str) -> None:
        self.figures["outages"] += self.is_listening
        self.is_listening = False
        self._subscribed = set()
        self.figures["rooms"] = 0
        with self._lock:
            self._is_new = self._is_noting = False
            self._news.clear()
            self._current.notify_all()
        self._lost()
        if not self._is_ended:
            text = "the Redis at %s is away; members in this process get messages as before: %s"
            self._complaints.tell("away", text, self._options.where, why)

    def _listen(self, connection: Any, is_back: Callable[[], None]) -> None:
        self._subscribed = set()
        with self._lock:
            self._news = dict.fromkeys(self._wanted)
            self._is_new, self._is_noting = False, True
            self._unconfirmed = 0
            self._current.notify_all()
        connection.send_command("SUBSCRIBE", self._control)
        self._subscribe(connection)
        asked_at: float | None = None
        heard_at = time.monotonic()
        count = 0
        while not self._is_ended:
            if not connection.can_read(timeout=1.0):
                if self._kept is not None:
                    self._kept.echoes.check()
                now = time.monotonic()
                if asked_at is not None and now - asked_at > _SILENCE:
                    raise ConnectionError(f"no answer to a PING within {_SILENCE:g} s")
                if asked_at is None and now - heard_at > _SILENCE:
                    connection.send_command("PING")
                    asked_at = now
                self._subscribe(connection)  # should the message that there is something new be lost
                continue
            count += self._hear_all(connection, is_back)
            asked_at, heard_at = None, time.monotonic()
            if count >= _TURN:
                count = 0
                time.sleep(0)

    def _hear_all(self, connection: Any, is_back: Callable[[], None]) -> int:
        """Hear what has come, as much as leaves for each member in one piece; return how many there were."""
        answers = [connection.read_response()]
        size = _size(answers[0])
        try:
            while len(answers) < _PIECE and size < _PIECE_SIZE and connection.can_read(timeout=0):
                answers.append(connection.read_response())
                size += _size(answers[-1])
        finally:  # what has come before an error is heard
            flush_at = time.monotonic() + _PIECE_TIME
            with Cork() as cork:
                for answer in answers:
                    self._hear(connection, answer, is_back)
                    if time.monotonic() > flush_at:
                        cork.flush()
                        flush_at = time.monotonic() + _PIECE_TIME
        return len(answers)

    def _subscribe(self, connection: Any) -> None:
        """Subscribe to what has come to be wanted since, and no more to what is not."""
        if not self._news:
            return
        with self._lock:
            news, self._news = self._news, {}
            wanted = [channel for channel in news if channel in self._wanted]
            unwanted = [channel for channel in news if channel not in self._wanted]
            self._unconfirmed += len(wanted) + len(unwanted)
        for command, channels in (("SUBSCRIBE", wanted), ("UNSUBSCRIBE", unwanted)):
            some = iter(channels)
            while chunk := list(islice(some, _CHANNELS)):
                connection.send_command(command, *chunk)

    def _hear(self, connection: Any, answer: Any, is_back: Callable[[], None]) -> None:
        match answer:
            case [b"message", self._control, _]:
                self._subscribe(connection)
            case [b"message", bytes(channel), bytes(wire)]:
                self._take(channel, wire)
            case [b"subscribe", self._control, _]:
                self.is_listening = True
                is_back()
                self._bell.ring()
            case [b"subscribe", bytes(channel), _]:
                self._subscribed.add(channel)
                self._confirm()
                room = self._wanted.get(channel)
                if self._kept is not None and room is not None:
                    self._kept.ready(room)
            case [b"unsubscribe", bytes(channel), _]:
                self._subscribed.discard(channel)
                self._confirm()

    def _confirm(self) -> None:
        self.figures["rooms"] = len(self._subscribed)
        with self._lock:
            self._unconfirmed -= 1
            self._current.notify_all()

    def _take(self, channel: bytes, wire: bytes) -> None:
        room = self._wanted.get(channel)
        if room is None:
            return
        try:
            id, wire = split_place(wire)
            parcel = unpack_parcel(wire, self._options.max_message_size)
        except ValueError as error:
            self.figures["malformed"] += 1
            self._complaints.tell(
                "malformed", "something in the room %r is no message of a hub: %s", room, error
            )
            return
        if id is not None:
            self._take_kept(room, id, parcel)
            return
        if parcel.origin == self._origin:
            return
        # One that was sent again, since its sender could not know that it had arrived.
        if parcel.number <= self._last.get(parcel.origin, 0):
            self.figures["repeated"] += 1
            return
        self._last[parcel.origin] = parcel.number
        self._last.move_to_end(parcel.origin)
        if len(self._last) > _ORIGINS:
            self._last.popitem(last=False)
        self.figures["received"] += 1
        try:
            self._deliver(Envelope(room, parcel.payload, parcel.is_text, parcel.exclude))
        except Exception:
            logger.exception("a message of the room %r could not be delivered", room)

    def _take_kept(self, room: str, id: str, parcel: Parcel) -> None:
        """Take a message that has its place in a history; Redis has seen to it that it is there once."""
        origin, number, payload, is_text, exclude, is_late = parcel
        key = make_key(origin, number)
        envelope = Envelope(room, payload, is_text, exclude, id, key, is_late)
        try:
            if origin != self._origin:
                self.figures["received"] += 1
                self._deliver(envelope)
            elif self._kept is not None:
                self._kept.echoes.hear(number, envelope)
        except Exception:
            logger.exception("a message of the room %r could not be delivered", room)


def _size(answer: Any) -> int:
    match answer:
        case [b"message", _, bytes(wire)]:
            return len(wire)
    return 0
