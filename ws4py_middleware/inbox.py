"""Messages that wait for somebody who asks for them: ``receive()`` and iteration."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from .core.policy import Policy
    from .messaging import Message

__all__ = ["Inbox", "Waiter", "Waker"]

#: What a message costs beside its payload, about.
_MESSAGE_COST = 128


class Waker(Protocol):
    """What wakes somebody up; any thread may set it."""

    def set(self) -> None: ...


_Waker = TypeVar("_Waker", bound=Waker)


class Waiter(Waker, Protocol):
    """An event of the thread or greenlet that waits."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; return whether it is, and the time is not over, whoever keeps that."""


class Inbox:
    """
    A bounded queue of messages; whoever owns it holds a lock around each call.

    As long as nobody has asked for a message, the oldest ones are dropped at the
    bound: a handler that only sends must not stop its peer's pongs from being
    read. From the first question on nothing is lost, and :attr:`is_full` says
    that reading has to stop.
    """

    __slots__ = ("_is_cut", "_limit", "_messages", "_size", "_size_limit", "_waiters", "ended", "wanted")

    def __init__(self, policy: Policy) -> None:
        #: Whether anybody has asked for a message.
        self.wanted = False
        #: Whether no more messages come.
        self.ended = False
        self._messages: deque[Message] = deque()
        self._size = 0
        self._limit = policy.receive_queue_messages
        self._size_limit = policy.receive_queue_size
        self._waiters: list[Waker] = []
        self._is_cut = False

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_full(self) -> bool:
        """Whether the bound is reached, and somebody takes messages away."""
        return self.wanted and self._at_bound()

    def put(self, message: Message, *, is_last_call: bool = False) -> None:
        """
        Append a message, and wake one who waits for it.

        Args:
            is_last_call: What finds no room is left out, and so is all that follows: there is no gap.
        """
        if is_last_call and (self._is_cut or self.is_full):
            self._is_cut = True
            return
        if not self.wanted:
            while self._messages and self._at_bound():
                self._drop_first()
        self._messages.append(message)
        self._size += len(message.data) + _MESSAGE_COST
        if self._waiters:
            self._waiters.pop(0).set()

    def take(self) -> Message | None:
        """Take the oldest message; ``None`` when there is none now."""
        self.wanted = True
        return self._drop_first() if self._messages else None

    def add_waiter(self, make: Callable[[], _Waker]) -> _Waker:
        """Return what the next message, or the end, sets."""
        waiter = make()
        self._waiters.append(waiter)
        return waiter

    def remove_waiter(self, waiter: Waker) -> None:
        """Forget a waiter that waits no more; if it was woken already, wake the next one in its place."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif self._messages and self._waiters:
            self._waiters.pop(0).set()

    def end(self) -> None:
        """No more messages come: wake all who wait."""
        self.ended = True
        for waiter in self._waiters:
            waiter.set()
        self._waiters.clear()

    def _at_bound(self) -> bool:
        return len(self._messages) >= self._limit or self._size >= self._size_limit

    def _drop_first(self) -> Message:
        message = self._messages.popleft()
        self._size -= len(message.data) + _MESSAGE_COST
        return message
