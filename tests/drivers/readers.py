"""Members that are told where they are, and clients made of them, which come back and miss nothing."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

from tests.drivers.guests import Guest
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.hub import Hub


class Reader(Guest):
    """Somebody in rooms, who gets JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[dict[str, Any]] = []

    def deliver(self, message: PreparedMessage, /) -> bool:
        if self.is_open:
            self.said.append(json.loads(bytes(message.data)))
        return self.is_open

    @property
    def texts(self) -> list[str]:
        """The messages."""
        return [one["data"] for one in self.said if "data" in one]


class Client:
    """
    Somebody who hears one room over many connections, and does what the protocol asks of a client.

    Attributes:
        heard: What it has heard, in order; ``None`` for a gap.
    """

    def __init__(self, room: str) -> None:
        self.room = room
        self.heard: list[str | None] = []
        self.position: str | None = None
        self._keys: set[str] = set()
        self._lock = threading.Lock()
        self._guest: _Ear | None = None
        self._hub: Hub | None = None

    def connect(self, hub: Hub) -> None:
        """Come, or come back."""
        self._hub = hub
        self._guest = _Ear(self)
        hub.join(self._guest, self.room, since=self.position, envelope=True)

    def disconnect(self) -> None:
        """Go, without a word."""
        guest, self._guest = self._guest, None
        assert guest is not None
        assert self._hub is not None
        guest.is_open = False
        self._hub.leave_all(guest)

    @property
    def is_connected(self) -> bool:
        """Whether it is in the room."""
        return self._guest is not None

    def take(self, guest: _Ear, said: dict[str, Any]) -> bool:
        """Take a message of a connection."""
        with self._lock:
            if guest is not self._guest:
                return False
            assert said.pop("room") == self.room
            if said.pop("gap", False):
                assert not said
                self.heard.append(None)
                return True
            id, key = said.pop("id", None), said.pop("key", None)
            self.position = id or self.position
            has_had = key in self._keys
            if id is None and key is not None:
                self._keys.add(key)
            if said and not has_had:
                self.heard.append(said["data"] if "data" in said else base64.b64decode(said["base64"]).hex())
            return True

    @property
    def texts(self) -> list[str]:
        """What it has heard, without the gaps."""
        return [text for text in self.heard if text is not None]


class _Ear(Guest):
    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def deliver(self, message: PreparedMessage, /) -> bool:
        return self.is_open and self._client.take(self, json.loads(bytes(message.data)))


def check_heard(heard: list[str | None]) -> None:
    """Check that numbers come in order, each once, and that a gap is told exactly where one is missing."""
    last: int | None = None
    has_gap = False
    for text in heard:
        if text is None:
            has_gap = True
            continue
        number = int(text)
        if last is not None:
            assert number > last, heard
            assert has_gap == (number > last + 1), heard
        last, has_gap = number, False
