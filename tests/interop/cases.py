"""
What is tried between a client and a server, whoever has written them.

Each case opens connections and speaks the words of :mod:`.words`; what it looks at is what the ends are told.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from time import monotonic, sleep
from typing import NamedTuple

from tests.interop.foreign.talker import BOUND, Data, Talker
from tests.interop.words import FRAGMENTS, MODES, MiB, make_bytes, make_text


class Pair(NamedTuple):
    """A client, and the server that it talks to."""

    #: Opens a connection that offers these ``subprotocols``.
    connect: Callable[..., AbstractContextManager[Talker]]
    #: The close code with which each answers every Close frame; ``None``: the one that it was told, which
    #: is what endpoints "typically" do, RFC 6455 section 5.5.1.
    client_answers: int | None = None
    server_answers: int | None = None


SIZES = (0, 1, 125, 126, 65535, 65536, MiB)

#: What a client's application may say; the reason of the last is as long as one can be.
CLOSES: tuple[tuple[int | None, str], ...] = (
    (1000, ""),
    (1000, "bye"),
    (3000, "\u20ac"),
    (4999, "\u00e9" * 61 + "!"),
)
#: What else a server's has use for.
SERVERS_CLOSES = (*CLOSES, (1001, "away"), (1008, "no"), (1011, "oh"), (1012, "again"), (1013, "later"))

_names = itertools.count()


def try_text(pair: Pair, size: int) -> None:
    _try_echo(pair, make_text(size))


def try_binary(pair: Pair, size: int) -> None:
    _try_echo(pair, make_bytes(size))


def _try_echo(pair: Pair, data: Data) -> None:
    with pair.connect() as talker:
        talker.send(data)
        # Not with ==, whose report of a difference would take an hour.
        assert is_same(talker.receive(), data)


def is_same(received: Data | None, sent: Data) -> bool:
    return type(received) is type(sent) and received == sent


def try_sequence(pair: Pair) -> None:
    """Many messages, before any is read: small ones beside large ones, text and binary."""
    messages: list[Data] = []
    for number in range(60):
        size = 20000 if number % 10 == 9 else number * 7
        messages.append(make_text(size) if number % 3 else make_bytes(size))
    with pair.connect() as talker:
        for message in messages:
            talker.send(message)
        assert all(is_same(talker.receive(), message) for message in messages)


def try_fragments_sent(pair: Pair) -> None:
    large = [make_bytes(70000), b"", make_bytes(126), make_bytes(1)]
    with pair.connect() as talker:
        talker.send_fragments(FRAGMENTS)
        assert talker.receive() == "".join(FRAGMENTS)
        talker.send_fragments(large)
        assert is_same(talker.receive(), b"".join(large))


def try_ping_between(pair: Pair) -> None:
    """A ping may come between the fragments of a message, RFC 6455 section 5.4."""
    with pair.connect() as talker:
        talker.send_fragments(FRAGMENTS, b"between")
        assert talker.receive() == "".join(FRAGMENTS)
        talker.send("and on")
        assert talker.receive() == "and on"


def try_fragments_received(pair: Pair) -> None:
    with pair.connect() as talker:
        talker.send("!fragments")
        assert talker.receive() == "".join(FRAGMENTS)
        talker.send("and on")
        assert talker.receive() == "and on"


def try_pings_sent(pair: Pair) -> None:
    with pair.connect() as talker:
        for data in (b"a", b"", bytes(range(125)), b"b"):
            assert 0 < talker.ping(data) < BOUND
        talker.send("and on")
        assert talker.receive() == "and on"


def try_pings_received(pair: Pair) -> None:
    with pair.connect() as talker:
        for data in ("a", "\u20ac" * 41):
            talker.send(f"!ping {data}")
            assert talker.receive() == f"!ponged {data}"


def try_subprotocol(pair: Pair) -> None:
    with pair.connect(subprotocols=("chat.v9", "chat.v1")) as talker:
        assert talker.subprotocol == "chat.v1"
        talker.send("!subprotocol")
        assert talker.receive() == "!subprotocol chat.v1"


def try_closing(pair: Pair, code: int | None, reason: str) -> None:
    """The client closes; the server is told so, and the client that it was heard."""
    name = f"client-{next(_names)}"
    with pair.connect() as talker:
        talker.send(f"!name {name}")
        talker.send("there")
        assert talker.receive() == "there"
        talker.close(code, reason)
        told = 1005 if code is None else code
        assert talker.get_end()[0] == (pair.server_answers or told)
    assert ask_end(pair, name) == f"!closed {told} {reason}"


def ask_end(pair: Pair, name: str) -> Data | None:
    """Ask the server how a connection has ended, until it knows."""
    deadline = monotonic() + BOUND
    with pair.connect() as talker:
        while True:
            talker.send(f"!closed {name}")
            answer = talker.receive()
            if answer != "!open" or monotonic() > deadline:
                return answer
            sleep(0.01)


def try_being_closed(pair: Pair, code: int | None, reason: str) -> None:
    """The server closes, and the client is told so."""
    with pair.connect() as talker:
        talker.send(f"!close {'-' if code is None else code} {reason}")
        assert talker.receive() is None
        assert talker.get_end() == (1005 if code is None else code, reason)


def try_close_answered(pair: Pair) -> None:
    """The server closes, and is told what the client answers; that need not have a reason."""
    name = f"server-{next(_names)}"
    with pair.connect() as talker:
        talker.send(f"!name {name}")
        talker.send("!close 4001 bye")
        assert talker.receive() is None
    answer = ask_end(pair, name)
    assert isinstance(answer, str)
    assert answer.split(" ")[:2] == ["!closed", str(pair.client_answers or 4001)]


class Case(NamedTuple):
    #: One of :data:`THINGS`; a library that ``lacks`` it, or it ``, compressed``, is not asked.
    thing: str
    function: Callable[..., None]
    args: tuple[object, ...] = ()
    modes: Sequence[str] = MODES

    def run(self, pair: Pair) -> None:
        self.function(pair, *self.args)


#: What is tried → the same for people. What is sent comes from the client, what is received from the server.
THINGS = {
    "sizes": "messages of 0 B to 1 MiB, text and binary",
    "16 MiB": "16 MiB, as text without compression and as bytes with it",
    "compression": "permessage-deflate, when both want it",
    "fragments sent": "fragments from the client",
    "ping between fragments": "and a ping between them",
    "fragments received": "fragments from the server, a ping between them",
    "pings sent": "pings from the client",
    "pings received": "pings from the server",
    "subprotocol": "a subprotocol",
    "closing": "close code and reason from the client",
    "closing without a code": "no close code from the client",
    "being closed": "close code and reason from the server",
    "being closed without a code": "no close code from the server",
    "close answered": "the client's answer to the server's Close frame",
}


def _build_cases() -> Mapping[str, Case]:
    cases = {}
    for size in SIZES:
        cases[f"text-{size}"] = Case("sizes", try_text, (size,))
        cases[f"binary-{size}"] = Case("sizes", try_binary, (size,))
    # Each of these takes as long as all of the others together.
    cases["text-large"] = Case("16 MiB", try_text, (16 * MiB,), ["plain"])
    cases["binary-large"] = Case("16 MiB", try_binary, (16 * MiB,), ["deflate"])
    cases["sequence"] = Case("sizes", try_sequence)
    for thing, function in (
        ("fragments sent", try_fragments_sent),
        ("ping between fragments", try_ping_between),
        ("fragments received", try_fragments_received),
        ("pings sent", try_pings_sent),
        ("pings received", try_pings_received),
        ("subprotocol", try_subprotocol),
        ("close answered", try_close_answered),
    ):
        cases[thing.replace(" ", "-")] = Case(thing, function)
    # Close frames are never compressed: one of each is enough to see that.
    for number, close in enumerate(CLOSES):
        cases[f"closing-{close[0]}-{number}"] = Case(
            "closing", try_closing, close, MODES if number == 1 else ["plain"]
        )
    cases["closing-without-code"] = Case("closing without a code", try_closing, (None, ""))
    for number, close in enumerate(SERVERS_CLOSES):
        cases[f"being-closed-{close[0]}-{number}"] = Case(
            "being closed", try_being_closed, close, MODES if number == 1 else ["plain"]
        )
    cases["being-closed-without-code"] = Case("being closed without a code", try_being_closed, (None, ""))
    return cases


#: Name → case.
CASES = _build_cases()


def build_params(lacks: Collection[str]) -> Iterator[tuple[str, str]]:
    """Build (mode, case) for all that two libraries have words for."""
    for mode in MODES:
        for name, case in CASES.items():
            known = {case.thing, f"{case.thing}, compressed"} if mode == "deflate" else {case.thing}
            if mode in case.modes and known.isdisjoint(lacks):
                yield mode, name
