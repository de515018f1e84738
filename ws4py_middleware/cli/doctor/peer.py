"""
A client that shows what happens on the wire: each event with its time, and nothing done by itself.

Our own clients answer, close and wait as they should; whoever looks for what is wrong has to send frames
with the request, half of a message, or nothing at all.
"""

from __future__ import annotations

import dataclasses
import os
import ssl
from collections.abc import Generator, Sequence
from time import monotonic
from typing import Any

from ...client.answers import ask, read_body
from ...client.dialing import Deadline, drive
from ...client.steps import Dial, DialUnix, HangUp, StartTLS
from ...client.tls import get_server_name
from ...client.urls import Target, build_host
from ...core.events import CloseReceived, Event, PingReceived
from ...core.frames import pack_close, pack_frame
from ...core.handshake import build_key, build_request, check_response
from ...core.headers import build_head, get_all
from ...core.packing import pack_head
from ...core.parser import Parser
from ...core.policy import Policy
from ...core.types import Opcode, Side
from ...exc import HandshakeError

__all__ = ["Answer", "Peer", "Place"]

#: The longest line of an answer's body that is shown.
_MAX_TEXT = 300

#: No limits: what the server may send is not what is asked here.
_POLICY = Policy(max_message_size=None, max_control_frames=None)

_CHUNK = 65536


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a server is, and how it is spoken to."""

    target: Target
    #: ``None``: no TLS.
    context: ssl.SSLContext | None = None
    #: With each request.
    headers: Sequence[tuple[str, str]] = ()
    #: For each answer; seconds.
    timeout: float = 5.0
    subprotocols: Sequence[str] = ()

    @property
    def host(self) -> str:
        """The value of the header Host."""
        return build_host(self.target.host, self.target.port, self.target.scheme)

    @property
    def path(self) -> str:
        """What is asked for."""
        return self.target.resource


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a server has answered."""

    status: int
    headers: Sequence[tuple[str, str]]
    #: The first line of the body that says something.
    text: str
    #: How long it took, the connection included.
    seconds: float

    def get(self, name: str) -> str:
        """Return the values of a header, joined by commas; empty where there is none."""
        return ", ".join(get_all(self.headers, name))


@dataclasses.dataclass
class _Seen:
    """What a conversation finds out."""

    answer: Any = None
    body: bytes = b""


class Peer:
    """
    One connection to a server, from its opening on.

    Args:
        place: Where to.
        early: What is sent in the same segment as the request.
        origin: The page that asks, if there is one.
        compression: Whether permessage-deflate is offered.
        upgrade: Whether a WebSocket is asked for, or an ordinary page.

    Raises:
        OSError: There is no connection; TLS and time-outs, too.
        HandshakeError: There is no answer of HTTP.
    """

    def __init__(
        self,
        place: Place,
        *,
        early: bytes = b"",
        origin: str | None = None,
        compression: bool = False,
        upgrade: bool = True,
    ) -> None:
        started = monotonic()
        self.place = place
        self._key = build_key(os.urandom(16))
        policy = _POLICY.replace(subprotocols=tuple(place.subprotocols), compression=compression)
        if upgrade:
            head = build_request(place.host, place.path, policy, self._key, place.headers, origin=origin)
        else:
            fields = [("Host", place.host), ("Connection", "close"), *place.headers]
            head = build_head(f"GET {place.path} HTTP/1.1", fields)
        seen = _Seen()
        self._sock, rest = drive(_converse(place, head + early, seen), Deadline(place.timeout, "timeout"))
        self.answer = Answer(
            seen.answer.status, seen.answer.headers, _first_line(seen.body), monotonic() - started
        )
        self.subprotocol: str | None = None
        #: Why a 101 is none.
        self.problem = ""
        if upgrade and self.answer.status == 101:
            try:
                agreed = check_response(101, self.answer.headers, self._key, policy)
                self.subprotocol = agreed.subprotocol
            except HandshakeError as error:
                self.problem = error.msg
        self._parser = Parser(Side.CLIENT, _POLICY)
        self._events = list(self._parser.feed(rest))
        #: How the bytes ended: ``"closed"``, ``"reset"``, a broken frame's reason; empty while they go on.
        self.ended = ""

    @property
    def is_open(self) -> bool:
        """Whether there is a WebSocket."""
        return self.answer.status == 101 and not self.problem

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The socket, where there is TLS."""
        return self._sock if isinstance(self._sock, ssl.SSLSocket) else None

    # --- talking ---------------------------------------------------------------------------------

    def send(self, opcode: Opcode, payload: bytes = b"") -> bool:
        """Send a frame; return whether anybody takes it."""
        return self._send(pack_frame(opcode, payload, mask_key=os.urandom(4)))

    def announce(self, size: int) -> bool:
        """Send the head of a message of so many bytes, and none of them."""
        return self._send(pack_head(0x80 | Opcode.BINARY, size, os.urandom(4)))

    def send_close(self, code: int = 1000) -> bool:
        """Send a Close frame."""
        return self.send(Opcode.CLOSE, pack_close(code))

    def _send(self, data: bytes) -> bool:
        try:
            self._sock.settimeout(self.place.timeout)
            self._sock.sendall(data)
        except OSError as error:
            self.ended = self.ended or _name(error)
            return False
        return True

    def wait(self, *kinds: type[Event], timeout: float | None = None) -> Event | None:
        """
        Wait for an event; pings are answered meanwhile, and all else is dropped.

        Args:
            kinds: Which ones; a Close frame always is one.
            timeout: Seconds; by default those of the place.

        Returns:
            ``None`` when the time is over, or the connection: then :attr:`ended` says how.
        """
        until = monotonic() + (self.place.timeout if timeout is None else timeout)
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, PingReceived):
                    self.send(Opcode.PONG, event.data)
                if isinstance(event, (*kinds, CloseReceived)):
                    return event
            left = until - monotonic()
            if self.ended or left <= 0:
                return None
            self._read(left)

    def wait_end(self, timeout: float | None = None) -> str:
        """Wait until the server ends the connection; return how it did, or an empty string."""
        until = monotonic() + (self.place.timeout if timeout is None else timeout)
        while not self.ended and (left := until - monotonic()) > 0:
            self._read(left)
        return self.ended

    def _read(self, timeout: float) -> None:
        try:
            self._sock.settimeout(timeout)
            data = self._sock.recv(_CHUNK)
        except TimeoutError:
            return
        except OSError as error:
            self.ended = _name(error)
            return
        if not data:
            self.ended = "closed"
            return
        self._events += self._parser.feed(data)
        if self._parser.error is not None:
            self.ended = f"broken: {self._parser.error}"

    def drop(self) -> None:
        """End the connection without a word."""
        if self._sock is not None:
            self._sock.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self.drop()


def _name(error: OSError) -> str:
    return "reset" if isinstance(error, ConnectionError) else str(error)


def _converse(place: Place, request: bytes, seen: _Seen) -> Generator[Any, Any, bytes]:
    target = place.target
    if target.unix_socket_path is not None:
        yield DialUnix(target.unix_socket_path)
    else:
        assert target.port is not None
        yield Dial(target.host, target.port)
    if place.context is not None:
        yield StartTLS(place.context, get_server_name(None, target.host), place.host)
    seen.answer = yield from ask(request, _POLICY)
    if seen.answer.status == 101:
        rest: bytes = seen.answer.rest
        return rest
    seen.body = yield from read_body(seen.answer)
    yield HangUp()
    return b""


def _first_line(body: bytes) -> str:
    """Return what a body says, where it is text; the title of a page."""
    text = body.decode("utf-8", "replace")
    if "<title" in text.lower():
        start = text.lower().index("<title")
        text = text[start:].partition(">")[2].partition("<")[0]
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("<"):
            return line.strip()[:_MAX_TEXT]
    return ""
