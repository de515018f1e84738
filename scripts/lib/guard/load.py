"""
The load of the guard: so many messages, each round the same.

The generator of the benchmarks is measured in seconds, and what it sends depends on how fast it is answered.
Here everything is sent before anything is read, in one piece a connection, and read to its last byte before
the next round: what the server finds on its sockets is the same on every machine, and so is what it does.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from tests.promises.attacker import Peer
from tests.promises.wire import TEXT, frame

__all__ = ["GREETING", "LOADS", "Load"]

#: What a member hears when it has joined; until then messages go past it.
GREETING = "welcome"

#: With this key masking changes nothing here; a server cannot tell.
_KEY = bytes(4)


@dataclass(frozen=True)
class Load:
    """So many connections, each with so many messages in flight, of so many bytes of text."""

    name: str
    title: str
    connections: int
    in_flight: int
    size: int
    #: One connection speaks, and all hear it.
    is_broadcast: bool = False

    @property
    def path(self) -> str:
        """Where there is a handler for it."""
        return "/broadcast" if self.is_broadcast else "/echo"

    @property
    def per_round(self) -> int:
        """How many messages the server sends in a round."""
        return self.connections * self.in_flight

    def greet(self, peers: Sequence[Peer]) -> None:
        """Wait until all are members, where there are any."""
        if self.is_broadcast:
            expected = frame(TEXT, GREETING.encode(), masked=False)
            for peer in peers:
                peer.data += _read(peer.sock, len(expected) - len(peer.data))
                if peer.data != expected:
                    raise ValueError(f"{self.name}: a member heard {peer.data!r}")

    def play(self, sockets: Sequence[socket.socket], rounds: int) -> int:
        """
        Do so many rounds.

        Returns:
            How many messages the server has sent.

        Raises:
            ValueError: What came is not what was sent.
        """
        payloads = [bytes([97 + number % 26]) * self.size for number in range(self.in_flight)]
        wire = b"".join(frame(TEXT, payload, key=_KEY) for payload in payloads)
        expected = b"".join(frame(TEXT, payload, masked=False) for payload in payloads)
        speakers = sockets[:1] if self.is_broadcast else sockets
        for _ in range(rounds):
            for sock in speakers:
                sock.sendall(wire)
            for sock in sockets:
                if _read(sock, len(expected)) != expected:
                    raise ValueError(f"{self.name}: what came back is not what was sent")
        return rounds * self.per_round


def _read(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ValueError("the server has ended the connection")
        data += piece
    return bytes(data)


LOADS = {
    load.name: load
    for load in (
        Load("e1", "1 connection, 32 B", 1, 1, 32),
        Load("e100", "100 connections, 32 B", 100, 1, 32),
        Load("p16", "16 messages in flight, 125 B", 100, 16, 125),
        Load("p16x1", "1 connection, 16 messages in flight, 125 B", 1, 16, 125),
        Load("64K", "1 connection, 64 KiB", 1, 1, 64 * 1024),
        Load("bcast100", "one message to 100 members, by delivery", 100, 1, 32, True),
        Load("bcast", "one message to 1,000 members, by delivery", 1000, 1, 32, True),
        Load("bcast4", "the same with 4 messages in flight", 1000, 4, 32, True),
    )
}
