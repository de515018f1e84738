"""
What an opening is made of: steps that a conversation asks for, and a driver does.

A :data:`Conversation` knows no socket. It yields a step, and gets its result; a driver does the
steps in its own way: one blocks (:func:`.dialing.drive`), another awaits. So everything between
"here is a URL" and "here is a WebSocket" is written once: proxies, TLS, redirects, the answer.

What a driver owes a conversation:

* There is one connection at a time, the driver's: :class:`Dial` and :class:`DialUnix` make it,
  :class:`StartTLS` puts it into TLS, :class:`Send` and :class:`Receive` use it, :class:`HangUp`
  closes it. If the conversation ends with an exception, the driver closes it, too.
* What a step raises is thrown into the conversation where it waits. An :exc:`OSError` is as a
  socket raises it; when the time for all of it is over, a :exc:`TimeoutError` names ``step.what``.
* The conversation's return value is what came behind the server's 101, and is to be read first.

>>> def greet() -> Conversation:
...     yield Dial("example.com", 80)
...     yield Send(b"hello")
...     return (yield Receive())
>>> conversation = greet()
>>> next(conversation).what, conversation.send(None).what, conversation.send(None).what
('the TCP connection to example.com:80', 'the opening handshake', 'the opening handshake')
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

__all__ = [
    "OPENING",
    "Conversation",
    "Dial",
    "DialUnix",
    "HangUp",
    "Receive",
    "Send",
    "StartTLS",
    "Step",
    "build_where",
]

#: What is sent and received, unless a step says otherwise; for the message of a time-out.
OPENING = "the opening handshake"


def build_where(host: str, port: int) -> str:
    """
    Build host and port as one text, the address of IPv6 in brackets.

    >>> build_where("::1", 80)
    '[::1]:80'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to a host by TCP, by whichever of its addresses answers; the result is ``None``."""

    #: A name or an address; IPv6 without brackets.
    host: str
    port: int
    #: What stands in front of the two in messages, such as ``"the proxy "``.
    role: str = ""

    @property
    def where(self) -> str:
        """Host and port, as messages have them."""
        return self.role + build_where(self.host, self.port)

    @property
    def what(self) -> str:
        """What it is called in the message of a time-out."""
        return f"the TCP connection to {self.where}"


@dataclass(frozen=True, slots=True)
class DialUnix:
    """Connect to a Unix socket; the result is ``None``."""

    path: str

    @property
    def what(self) -> str:
        """What it is called in the message of a time-out."""
        return f"the connection to {self.path!r}"


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Make the TLS handshake on the connection there is; the result is ``None``."""

    context: ssl.SSLContext
    #: Whom the certificate must be for, and who the server is told is wanted (``server_hostname``).
    name: str
    #: What the peer is called in messages.
    where: str

    @property
    def what(self) -> str:
        """What it is called in the message of a time-out."""
        return f"the TLS handshake with {self.where}"


@dataclass(frozen=True, slots=True)
class Send:
    """Send all of the bytes; the result is ``None``."""

    data: bytes
    what: str = OPENING


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for bytes, and read what there is; the result is ``bytes``, ``b""`` at the end."""

    #: At most so many seconds, then the result is ``None``; by default the time for all of it counts,
    #: and when that is over it is a :exc:`TimeoutError`, in either case.
    within: float | None = None
    what: str = OPENING


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection there is; the result is ``None``, and it raises nothing."""

    what: str = "the end of the connection"


Step = Dial | DialUnix | StartTLS | Send | Receive | HangUp

#: Yields steps, is sent their results, and returns the bytes that came behind the server's 101.
Conversation = Generator[Step, Any, bytes]
