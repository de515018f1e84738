"""What servers do that are none, or that are up to something: a script for each."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.core.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, build_frame, build_head
from tests.entrances.scripted import Visit, text
from tests.promises.wire import KiB, MiB, deflate

Script = Callable[[Visit], object]

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@dataclass(frozen=True)
class Refused:
    """``connect()`` raises: the server's opening handshake is none."""

    script: Script
    #: Part of the message.
    match: str
    #: The status of the HandshakeError.
    status: int = 101
    options: Mapping[str, Any] = field(default_factory=dict)
    #: The class of the exception, or one of its bases.
    error: str = "HandshakeError"


@dataclass(frozen=True)
class Ended:
    """The connection is opened, and ends by what the server sends."""

    script: Script
    #: What ``closed()`` is told.
    code: int
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Sizes of the messages that were taken before.
    sizes: tuple[int, ...] = ()


def stream(visit: Visit, pieces: Iterable[bytes], limit: int = 64 * MiB) -> None:
    """Send and send, until the client has gone, takes no more, or has taken so many bytes."""
    taken = 0
    visit.sock.settimeout(2.0)
    with contextlib.suppress(OSError):
        for piece in pieces:
            visit.send(piece)
            taken += len(piece)
            if taken > limit:
                break
        visit.sock.shutdown(socket.SHUT_WR)
    visit.wait_end()


# --- instead of the opening handshake ----------------------------------------------------------------


def answer(*pieces: bytes) -> Script:
    """Answer each request with the same."""

    def script(visit: Visit) -> None:
        visit.read_request()
        for piece in pieces:
            visit.send(piece)
        visit.sock.shutdown(socket.SHUT_WR)
        visit.wait_end()

    return script


def answer_endlessly(first: bytes, again: bytes) -> Script:
    """Answer, and never end."""

    def script(visit: Visit) -> None:
        visit.read_request()
        stream(visit, itertools.chain([first], itertools.repeat(again)))

    return script


def accept(*lines: str) -> Script:
    """Accept with more headers."""

    def script(visit: Visit) -> None:
        visit.accept(b"", *lines)
        visit.wait_end()

    return script


def drip(first: bytes, each: bytes, pause: float = 0.02) -> Script:
    """Say something, then a byte now and then."""

    def script(visit: Visit) -> None:
        visit.read_request()
        with contextlib.suppress(OSError):
            visit.send(first)
            for byte in itertools.islice(itertools.cycle(each), 500):
                visit.send(bytes([byte]))
                time.sleep(pause)

    return script


def say_nothing(visit: Visit) -> None:
    visit.wait_end()


OFFERS = {"protocols": ["chat", "superchat"]}
WITH_DEFLATE = {"compression": True}
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"

REFUSED = {
    "wrong-accept": Refused(
        answer(HEAD + b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
        "Sec-WebSocket-Accept is",
    ),
    "no-accept": Refused(answer(HEAD + b"\r\n"), "Sec-WebSocket-Accept is ''"),
    "no-upgrade": Refused(
        answer(HEAD.replace(b"Upgrade: websocket\r\n", b"") + b"\r\n"), "another protocol than websocket"
    ),
    "other-upgrade": Refused(answer(HEAD.replace(b"websocket", b"h2c") + b"\r\n"), "another protocol"),
    "no-connection": Refused(
        answer(HEAD.replace(b"Connection: Upgrade\r\n", b"") + b"\r\n"), "no Connection: Upgrade"
    ),
    "http-1.0": Refused(answer(HEAD.replace(b"1.1", b"1.0") + b"\r\n"), "HTTP/1.0"),
    "body-on-101": Refused(answer(HEAD + b"Content-Length: 5\r\n\r\nhello"), "a 101 cannot have"),
    "chunks-on-101": Refused(
        answer(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "a 101 cannot have"
    ),
    "200": Refused(answer(OK + b"Content-Length: 5\r\n\r\nhello"), "not with 101", 200),
    "200-of-1-gib": Refused(
        answer_endlessly(OK + b"Content-Length: 1073741824\r\n\r\n", bytes(64 * KiB)), "not with 101", 200
    ),
    "200-endless": Refused(answer_endlessly(OK + b"\r\n", bytes(64 * KiB)), "not with 101", 200),
    "200-endless-chunks": Refused(
        answer_endlessly(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
        "not with 101",
        200,
    ),
    "endless-headers": Refused(
        answer_endlessly(HEAD, b"X-Header: value of the header\r\n" * 1000), "headers", 0
    ),
    "endless-line": Refused(answer_endlessly(HEAD + b"X: ", b"x" * 64 * KiB), "longer than 8192", 0),
    "endless-status-line": Refused(answer_endlessly(b"HTTP/1.1 101 ", b"x" * 64 * KiB), "longer than", 0),
    "endless-interim": Refused(
        answer_endlessly(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1000), "interim answer", 0
    ),
    "head-of-1-mib": Refused(answer(HEAD + b"X: " + b"x" * MiB + b"\r\n\r\n"), "longer than 8192", 0),
    "head-of-1-mib-in-lines": Refused(
        answer(HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 5000) for n in range(210)) + b"\r\n"), "head", 0
    ),
    "nul-in-header": Refused(answer(HEAD + b"A: b\0c\r\n\r\n"), "no header", 0),
    "ssh": Refused(answer(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "no status line of HTTP/1", 0),
    "half-a-head": Refused(answer(HEAD), f"behind {len(HEAD)} bytes", 0),
    "nothing": Refused(answer(), "without an answer", 0),
    "subprotocol-not-offered": Refused(accept("Sec-WebSocket-Protocol: other"), "other", 101, OFFERS),
    "subprotocol-unsolicited": Refused(accept("Sec-WebSocket-Protocol: chat"), "chat"),
    "two-subprotocols": Refused(
        accept("Sec-WebSocket-Protocol: chat, superchat"), "'chat, superchat'", 101, OFFERS
    ),
    "extension-not-offered": Refused(accept(DEFLATE), "permessage-deflate"),
    "extension-unknown": Refused(accept("Sec-WebSocket-Extensions: x-evil"), "x-evil", 101, WITH_DEFLATE),
    "extension-twice": Refused(accept(DEFLATE, DEFLATE), "permessage-deflate", 101, WITH_DEFLATE),
    "extension-with-wrong-bits": Refused(
        accept("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"),
        "server_max_window_bits",
        101,
        WITH_DEFLATE,
    ),
}

#: Those that would take forever; each has ``open_timeout``.
SLOW = {
    "silent": Refused(say_nothing, "the opening handshake was not done within", error="TimeoutError"),
    "drip": Refused(drip(b"", HEAD), "the opening handshake was not done within", error="TimeoutError"),
    "drip-behind-crlf": Refused(
        drip(HEAD + b"X: ", b"x"), "the opening handshake was not done within", error="TimeoutError"
    ),
    "drip-of-interim": Refused(
        drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "the opening handshake was not done within",
        error="TimeoutError",
    ),
    "drip-of-body": Refused(drip(OK + b"Content-Length: 100000\r\n\r\n", b"x"), "not with 101", 200),
}


# --- instead of messages ------------------------------------------------------------------------------


def send(*pieces: bytes, lines: Iterable[str] = ()) -> Script:
    """Accept; the frames come together with the 101."""

    def script(visit: Visit) -> None:
        visit.accept(b"".join(pieces), *lines)
        visit.wait_end()

    return script


def send_and_close(*pieces: bytes) -> Script:
    """Accept, send, and make the closing handshake."""

    def script(visit: Visit) -> None:
        visit.accept(b"".join(pieces) + build_frame(CLOSE, b"\x03\xe8"))
        visit.read_frame()

    return script


def send_endlessly(first: bytes, again: bytes, *lines: str) -> Script:
    """Accept, and never end."""

    def script(visit: Visit) -> None:
        visit.accept(first, *lines)
        stream(visit, itertools.repeat(again))

    return script


def build_bomb(mib: int) -> bytes:
    """Build what becomes a thousand times larger: a MiB of zeros, again and again."""
    once = deflate(bytes(MiB)) + b"\0\0\xff\xff"
    return once * mib


def send_bomb(mib: int, size: int | None = None) -> Script:
    """Send a message that inflates to so many MiB, in one frame or in fragments of a size."""

    def script(visit: Visit) -> None:
        data = build_bomb(mib)
        visit.accept(b"", DEFLATE)
        stream(visit, fragment(data, size or len(data)))

    return script


def fragment(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        opcode, rsv = (CONT, 0) if start else (BINARY, 4)
        yield build_frame(opcode, data[start : start + size], fin=start + size >= len(data), rsv=rsv)


def send_small_bombs(visit: Visit) -> None:
    """Send many messages of half a MiB each, and of 600 bytes, in one piece."""
    visit.accept(b"", DEFLATE)
    small = build_frame(BINARY, deflate(bytes(MiB // 2)), rsv=4)
    stream(visit, [small * 400])


SMALL = {"max_message_size": 1000}

ENDED = {
    "masked": Ended(send(build_frame(TEXT, b"masked", key=b"1234")), 1002),
    "masked-close": Ended(send(build_frame(CLOSE, b"\x03\xe8", key=b"1234")), 1002),
    "masked-and-endless": Ended(send_endlessly(build_head(BINARY, 2**40, key=b"1234"), bytes(MiB)), 1002),
    "junk-behind-101": Ended(send(b"hello"), 1002),
    "http-behind-101": Ended(send(b"HTTP/1.1 200 OK\r\n\r\n"), 1002),
    "rsv": Ended(send(text("one"), build_frame(TEXT, b"x", rsv=4)), 1002, {}, (3,)),
    "unknown-opcode": Ended(send(build_frame(3, b"x")), 1002),
    "message-in-message": Ended(send(build_frame(TEXT, b"x", fin=False), text("y")), 1002),
    "continuation-of-nothing": Ended(send(build_frame(CONT, b"x")), 1002),
    "ping-of-126": Ended(send(build_frame(PING, b"x" * 126)), 1002),
    "fragmented-ping": Ended(send(build_frame(PING, fin=False)), 1002),
    "length-in-too-many-bytes": Ended(send(b"\x82\x7e\x00\x01x"), 1002),
    "length-of-2-to-the-63": Ended(send(b"\x82\x7f\x80" + bytes(7)), 1002),
    "close-1005": Ended(send(build_frame(CLOSE, b"\x03\xed")), 1002),
    "close-of-1-byte": Ended(send(build_frame(CLOSE, b"\x03")), 1002),
    "close-reason-not-utf8": Ended(send(build_frame(CLOSE, b"\x03\xe8\xff")), 1007),
    "text-not-utf8": Ended(send(build_frame(TEXT, b"\xff")), 1007),
    "frame-over-limit": Ended(send(build_head(BINARY, 1001)), 1009, SMALL),
    "frame-at-limit": Ended(send_and_close(build_frame(BINARY, bytes(1000))), 1000, SMALL, (1000,)),
    "fragments-over-limit": Ended(
        send(build_frame(BINARY, bytes(600), fin=False), build_head(CONT, 401)), 1009, SMALL
    ),
    "frame-of-1-tib": Ended(send_endlessly(build_head(BINARY, 2**40), bytes(MiB)), 1009),
    "endless-fragments": Ended(
        send_endlessly(build_frame(TEXT, fin=False), build_frame(CONT, b"x", fin=False) * 10_000), 1009
    ),
    "endless-message": Ended(
        send_endlessly(build_frame(TEXT, fin=False), build_frame(CONT, b"x" * 65536, fin=False)), 1009
    ),
    "endless-pings": Ended(send_endlessly(b"", build_frame(PING, b"p" * 125) * 500), 1008),
    "endless-pongs": Ended(send_endlessly(b"", build_frame(PONG, b"p" * 125) * 500), 1008),
    "bomb": Ended(send_bomb(256), 1009, WITH_DEFLATE),
    "bomb-of-a-gib": Ended(send_bomb(900), 1009, WITH_DEFLATE),
    "bomb-in-fragments": Ended(send_bomb(256, 100), 1009, WITH_DEFLATE),
    "bomb-not-negotiated": Ended(send(build_frame(BINARY, build_bomb(1), rsv=4)), 1002),
    "deflate-that-is-none": Ended(
        send(build_frame(BINARY, b"\xff" * 1000, rsv=4), lines=[DEFLATE]), 1007, WITH_DEFLATE
    ),
}
