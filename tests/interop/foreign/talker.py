"""What the tests do with a client, whoever has written it."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

Data = str | bytes

#: Why something cannot be tried.
FIN_ONLY = "It sends each message in one frame."

#: Longer than anything takes; a test that waits so long has failed.
BOUND = 20.0


class Talker(abc.ABC):
    """A connected client, spoken to from a test's thread. All calls wait, at most :data:`BOUND` seconds."""

    @property
    @abc.abstractmethod
    def subprotocol(self) -> str | None:
        """What was agreed on."""

    @property
    @abc.abstractmethod
    def is_compressed(self) -> bool:
        """Whether permessage-deflate was agreed on."""

    @abc.abstractmethod
    def send(self, data: Data) -> None:
        """Send a message in one frame."""

    def send_fragments(self, pieces: Sequence[Data], ping: bytes | None = None) -> None:
        """Send a message, each piece in a frame; with a ping behind the first, if it is given."""
        raise NotImplementedError

    @abc.abstractmethod
    def receive(self) -> Data | None:
        """Return the next message; ``None`` at the end."""

    def ping(self, data: bytes) -> float:
        """Send a ping, and wait for its pong; return the seconds in between."""
        raise NotImplementedError

    @abc.abstractmethod
    def close(self, code: int | None, reason: str) -> None:
        """Begin the closing handshake, ``None``: without a code."""

    @abc.abstractmethod
    def get_end(self) -> tuple[int | None, str]:
        """Wait for the end, and return the code and reason that the client was told."""


class Options(NamedTuple):
    """What is asked for in the opening handshake."""

    subprotocols: Sequence[str] = ()
    #: Offer permessage-deflate, where it can be said: ``True``, or what the client has for it.
    compression: Any = False


class Foreign(NamedTuple):
    """A client of somebody else."""

    title: str
    connect: Callable[[str, Options], AbstractContextManager[Talker]]
    #: What it has no word for, or does not do (see :data:`.cases.THINGS`) → why.
    lacks: Mapping[str, str] = {}
    #: The close code with which it answers every Close frame; ``None``: the one that it was told.
    answers: int | None = None
    #: It offers compression, whatever it is told.
    always_offers: bool = False
