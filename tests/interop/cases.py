"""
What is tried between a client and a server, whoever has written them.

Each case opens connections and speaks the words of :mod:`.words`; what it looks at is what the ends are told.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from time import monotonic, sleep
from typing import NamedTuple

from tests.interop.foreign.talker import BOUND, Data, Talker
from tests.interop.words import FRAGMENTS, MODES, MiB, make_bytes, make_text

#: Opens a connection that offers these subprotocols.
Connect = Callable[..., AbstractContextManager[Talker]]

SIZES = (0, 1, 125, 126, 65535, 65536, MiB, 16 * MiB)

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


def try_text(connect: Connect, size: int) -> None:
    _try_echo(connect, make_text(size))


def try_binary(connect: Connect, size: int) -> None:
    _try_echo(connect, make_bytes(size))


def _try_echo(connect: Connect, data: Data) -> None:
    with connect() as talker:
        talker.send(data)
        # Not with ==, whose report of a difference would take an hour.
        assert is_same(talker.receive(), data)


def is_same(received: Data | None, sent: Data) -> bool:
    return type(received) is type(sent) and received == sent


def try_sequence(connect: Connect) -> None:
    """Many messages, before any is read: small ones beside large ones, text and binary."""
    messages: list[Data] = []
    for number in range(60):
        size = 20000 if number % 10 == 9 else number * 7
        messages.append(make_text(size) if number % 3 else make_bytes(size))
    with connect() as talker:
        for message in messages:
            talker.send(message)
        assert all(is_same(talker.receive(), message) for message in messages)


def try_fragments_sent(connect: Connect) -> None:
    large = [make_bytes(70000), b"", make_bytes(126), make_bytes(1)]
    with connect() as talker:
        talker.send_fragments(FRAGMENTS, b"between")
        assert talker.receive() == "".join(FRAGMENTS)
        talker.send_fragments(large, b"")
        assert is_same(talker.receive(), b"".join(large))


def try_fragments_received(connect: Connect) -> None:
    with connect() as talker:
        talker.send("!fragments")
        assert talker.receive() == "".join(FRAGMENTS)
        talker.send("and on")
        assert talker.receive() == "and on"


def try_pings_sent(connect: Connect) -> None:
    with connect() as talker:
        for data in (b"a", b"", bytes(range(125)), b"b"):
            assert 0 < talker.ping(data) < BOUND
        talker.send("and on")
        assert talker.receive() == "and on"


def try_pings_received(connect: Connect) -> None:
    with connect() as talker:
        for data in ("a", "\u20ac" * 41):
            talker.send(f"!ping {data}")
            assert talker.receive() == f"!ponged {data}"


def try_subprotocol(connect: Connect) -> None:
    with connect(subprotocols=("chat.v9", "chat.v1")) as talker:
        assert talker.subprotocol == "chat.v1"
        talker.send("!subprotocol")
        assert talker.receive() == "!subprotocol chat.v1"


def try_closing(connect: Connect, code: int | None, reason: str) -> None:
    """The client closes; the server is told so, and the client that it was heard."""
    name = f"client-{next(_names)}"
    with connect() as talker:
        talker.send(f"!name {name}")
        talker.send("there")
        assert talker.receive() == "there"
        talker.close(code, reason)
        told = 1005 if code is None else code
        assert talker.get_end()[0] == told
    assert ask_end(connect, name) == f"!closed {told} {reason}"


def ask_end(connect: Connect, name: str) -> Data | None:
    """Ask the server how a connection has ended, until it knows."""
    deadline = monotonic() + BOUND
    with connect() as talker:
        while True:
            talker.send(f"!closed {name}")
            answer = talker.receive()
            if answer != "!open" or monotonic() > deadline:
                return answer
            sleep(0.01)


def try_being_closed(connect: Connect, code: int | None, reason: str) -> None:
    """The server closes, and the client is told so."""
    with connect() as talker:
        talker.send(f"!close {'-' if code is None else code} {reason}")
        assert talker.receive() is None
        assert talker.get_end() == (1005 if code is None else code, reason)


def try_close_answered(connect: Connect) -> None:
    """The server closes, and is told what the client answers; that need not have a reason."""
    name = f"server-{next(_names)}"
    with connect() as talker:
        talker.send(f"!name {name}")
        talker.send("!close 4001 bye")
        assert talker.receive() is None
        answered = talker.answers_with or 4001
    answer = ask_end(connect, name)
    assert isinstance(answer, str)
    assert answer.split(" ")[:2] == ["!closed", str(answered)]


class Case(NamedTuple):
    #: What the page calls it; a library that ``lacks`` it is not asked.
    column: str
    function: Callable[..., None]
    args: tuple[object, ...] = ()

    def run(self, connect: Connect) -> None:
        self.function(connect, *self.args)


def _build_cases() -> Mapping[str, Case]:
    cases = {}
    for size in SIZES:
        column = "16 MiB" if size == SIZES[-1] else "sizes"
        cases[f"text-{size}"] = Case(column, try_text, (size,))
        cases[f"binary-{size}"] = Case(column, try_binary, (size,))
    cases["sequence"] = Case("sizes", try_sequence)
    for column, function in (
        ("fragments sent", try_fragments_sent),
        ("fragments received", try_fragments_received),
        ("pings sent", try_pings_sent),
        ("pings received", try_pings_received),
        ("subprotocol", try_subprotocol),
        ("close answered", try_close_answered),
    ):
        cases[column.replace(" ", "-")] = Case(column, function)
    for number, close in enumerate(CLOSES):
        cases[f"closing-{close[0]}-{number}"] = Case("closing", try_closing, close)
    cases["closing-without-code"] = Case("closing without a code", try_closing, (None, ""))
    for number, close in enumerate(SERVERS_CLOSES):
        cases[f"being-closed-{close[0]}-{number}"] = Case("being closed", try_being_closed, close)
    cases["being-closed-without-code"] = Case("being closed without a code", try_being_closed, (None, ""))
    return cases


#: Name → case.
CASES = _build_cases()


def build_params(lacks: Collection[str]) -> Iterator[tuple[str, str]]:
    """Build (mode, case) for all that two libraries have words for."""
    for mode in MODES:
        for name, case in CASES.items():
            known = {case.column, f"{case.column}, compressed"} if mode == "deflate" else {case.column}
            if known.isdisjoint(lacks):
                yield mode, name
