"""
The clients of a soak: they come, do one thing or another, and leave one way or another.

They live in a process of their own, so that what times the server does not share an interpreter with them.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from multiprocessing.connection import Connection
from typing import NamedTuple

from tests.promises.attacker import DEFLATE, Peer, ask, upgrade
from tests.promises.floods import FLOODS, attack_with
from tests.promises.leaving import WAYS
from tests.promises.wire import (
    BINARY,
    CONTINUATION,
    NO_KEY,
    PING,
    TEXT,
    KiB,
    close_frame,
    deflate,
    frame,
    request,
)
from tests.servers import Server

__all__ = ["HOSTILE_INTERVAL", "Totals", "serve_orders"]

#: The time from one hostile client to the next; seconds.
HOSTILE_INTERVAL = 10.0

#: The time between two things that a client does, on average; seconds.
_PAUSE = 0.5


class Totals(NamedTuple):
    """What there was in a round."""

    lives: int
    messages: int
    hostile: int
    #: What clients saw that should not have been, each with how often.
    errors: dict[str, int]


class Life:
    """What one client does from its coming to its going."""

    def __init__(self, server: Server, stop: threading.Event, dice: random.Random) -> None:
        self.server = server
        self.dice = dice
        self.messages = 0
        self._stop = stop

    def live(self) -> None:
        """Choose one, and live it."""
        # What is written first comes most often.
        weights = range(2 * len(LIVES), len(LIVES), -1)
        self.dice.choices(LIVES, weights)[0](self)

    def pause(self) -> bool:
        """Do nothing for a while; return whether to go on."""
        return not self._stop.wait(self.dice.uniform(0, 2 * _PAUSE))

    def say_goodbye(self, peer: Peer) -> None:
        peer.send(close_frame(1000))
        peer.read_to_close()
        peer.read_to_end()

    def expect(self, peer: Peer, opcode: int, payload: bytes) -> None:
        found = peer.read_message()
        assert (found.opcode, found.payload) == (opcode, payload), f"{found.opcode} {found.payload[:40]!r}"
        self.messages += 1

    def echo_small(self) -> None:
        """Some words, of which each comes back; said to a class or to a function."""
        with upgrade(self.server, self.dice.choice(["/echo", "/function"])) as peer:
            for number in range(self.dice.randrange(3, 12)):
                text = b"message %d of a client" % number
                peer.send(frame(TEXT, text))
                self.expect(peer, TEXT, text)
                if not self.pause():
                    break
            self.say_goodbye(peer)

    def listen_in_a_room(self) -> None:
        """Be in a room, and hear what is said there: of each who speaks, in order."""
        heard: dict[bytes, int] = {}
        with upgrade(self.server, f"/room/{self.dice.randrange(5)}") as peer:
            peer.sock.settimeout(0.2)
            until = time.monotonic() + self.dice.uniform(1, 3)
            while time.monotonic() < until and not self._stop.is_set():
                with contextlib.suppress(TimeoutError):
                    found = peer.read_frame()
                    if found.opcode == BINARY:
                        who, number = found.payload[:8], int(found.payload[8:16])
                        assert number == heard.setdefault(who, number), "a message of a room is missing"
                        heard[who] += 1
                        self.messages += 1
            peer.sock.settimeout(10)
            self.say_goodbye(peer)

    def speak_in_a_room(self) -> None:
        """Publish some messages."""
        who = b"%08d" % self.dice.randrange(10**8)
        with upgrade(self.server, f"/publish/{self.dice.randrange(5)}") as peer:
            for number in range(10):
                text = who + b"%08d" % number + bytes(self.dice.randrange(2 * KiB))
                peer.send(frame(BINARY, text, key=NO_KEY))
                assert peer.read_message().opcode == TEXT
                self.messages += 1
                if not self.pause():
                    break
            self.say_goodbye(peer)

    def echo_large(self) -> None:
        """Up to 900 KiB."""
        with upgrade(self.server) as peer:
            for _ in range(2):
                data = bytes(self.dice.randrange(900 * KiB))
                peer.send(frame(BINARY, data, key=NO_KEY))
                self.expect(peer, BINARY, data)
                if not self.pause():
                    break
            self.say_goodbye(peer)

    def echo_compressed(self) -> None:
        """Texts that are compressed both ways; the server's all in one context."""
        with upgrade(self.server, self.dice.choice(["/deflate", "/deflate-function"]), DEFLATE) as peer:
            inflate = zlib.decompressobj(-15)
            for number in range(5):
                text = b"a text that is long enough, number %d. " % number * self.dice.randrange(10, 300)
                peer.send(frame(TEXT, deflate(text), rsv=4))
                found = peer.read_message()
                assert found.first & 0x40, "it is not compressed"
                assert inflate.decompress(found.payload + b"\0\0\xff\xff") == text
                self.messages += 1
                if not self.pause():
                    break
            self.say_goodbye(peer)

    def echo_fragmented(self) -> None:
        """A message in pieces, with a ping between."""
        with upgrade(self.server) as peer:
            for _ in range(3):
                pieces = [bytes(self.dice.randrange(500)) for _ in range(self.dice.randrange(2, 30))]
                peer.send(frame(BINARY, pieces[0], fin=False))
                for piece in pieces[1:]:
                    peer.send(frame(CONTINUATION, piece, fin=False) + frame(PING, b"between"))
                peer.send(frame(CONTINUATION))
                self.expect(peer, BINARY, b"".join(pieces))
                if not self.pause():
                    break
            self.say_goodbye(peer)

    def leave(self) -> None:
        """Come, and be gone: by a reset, in mid-frame, stuck, refused."""
        self.dice.choice(WAYS)(self.server)

    def block(self) -> None:
        """Have a handler that blocks."""
        with upgrade(self.server, "/blocking") as peer:
            peer.echo()
            self.messages += 1
            self.say_goodbye(peer)

    def fail(self) -> None:
        """Have a handler that raises an exception."""
        with upgrade(self.server, "/command") as peer:
            peer.send(frame(TEXT, b"raise"))
            peer.expect_close(1011)

    def ask_in_vain(self) -> None:
        """Ask for what is refused, and for a page."""
        answer = ask(self.server, request("/echo", {"Origin": "http://elsewhere"}))
        assert answer.startswith(b"HTTP/1.1 403 "), answer
        assert self.server.http("/").status == 200


LIVES: list[Callable[[Life], None]] = [
    Life.echo_small,
    Life.listen_in_a_room,
    Life.speak_in_a_room,
    Life.echo_compressed,
    Life.echo_fragmented,
    Life.leave,
    Life.echo_large,
    Life.block,
    Life.ask_in_vain,
    Life.fail,
]


class Crowd:
    """So many clients at a time, and now and then a hostile one."""

    def __init__(self, server: Server, count: int) -> None:
        self._server = server
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._lives = self._messages = self._hostile = 0
        self._errors: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        self._threads.append(threading.Thread(target=self._attack))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> Totals:
        """Let all go home, and return what there was."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return Totals(self._lives, self._messages, self._hostile, dict(self._errors))

    def _run(self) -> None:
        dice = random.Random()
        self._stop.wait(dice.uniform(0, 2 * _PAUSE))
        while not self._stop.is_set():
            life = Life(self._server, self._stop, dice)
            error = ""
            try:
                life.live()
            except (OSError, EOFError, AssertionError, ValueError, HTTPException, zlib.error) as found:
                error = f"{type(found).__name__}: {found}"
            with self._lock:
                self._lives += 1
                self._messages += life.messages
                if error:
                    self._errors[error] += 1
            life.pause()

    def _attack(self) -> None:
        names = list(FLOODS)
        stop = threading.Event()
        while not self._stop.wait(HOSTILE_INTERVAL / 2):
            timer = threading.Timer(1, stop.set)
            timer.start()
            # What it is told, and how it is thrown out, is no matter.
            with contextlib.suppress(OSError, EOFError):
                attack_with(self._server, FLOODS[random.choice(names)])(stop)
            timer.cancel()
            timer.join()
            stop.clear()
            self._hostile += 1
            self._stop.wait(HOSTILE_INTERVAL / 2)


def serve_orders(server: Server, count: int, orders: Connection) -> None:
    """Live as told through a pipe: ``True`` begins a round, ``False`` ends it and is answered with totals."""
    with contextlib.suppress(EOFError):
        while orders.recv():
            crowd = Crowd(server, count)
            crowd.start()
            try:
                orders.recv()
            finally:
                totals = crowd.stop()
            orders.send(totals)
