"""
The columns of the matrix: what is tried on each server.

A column is a function that tries one thing on a running server, and returns in a few words what it saw;
``GOOD`` is what one hopes to see. What a server cannot do is no error here: the row says it.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

from tests.matrix.http2 import Http2Socket
from tests.promises.attacker import Peer
from tests.promises.wire import BINARY, CLOSE, NO_KEY, PING, PONG, TEXT, close_frame, frame, request
from tests.servers import Server, child_pids, wait_for

#: How long a server may take from the signal to its end.
GRACE = 10.0

_LOGGED = {
    "101": re.compile(r""""(GET|-) /echo (HTTP/)?1\.1" (b')?101 |GET /echo => .* \(HTTP/1\.1 101\)"""),
    "200": re.compile(r'"GET /echo 2" 200 '),
    "accepted": re.compile(r'"WebSocket /echo" \[accepted\]'),
    "WSCONNECT": re.compile(r'"WSCONNECT /echo"'),
}
_COLOURS = re.compile(r"\x1b\[\d+m")
_TROUBLE = re.compile("Traceback|Error|Bad file|Exception|CRITICAL")


class Refused(Exception):
    """The upgrade was answered with another status than 101."""


def connect(server: Server, path: str = "/echo", early: bytes = b"") -> Peer:
    """Open a WebSocket; ``early`` goes in the segment (and the TLS record) of the request."""
    if server.facts.http2:
        stream = Http2Socket(server, path, early)
        if stream.status != 200:
            stream.close()
            raise Refused(str(stream.status))
        return Peer(cast(socket.socket, stream))
    peer = Peer(server.connect())
    try:
        peer.send(request(path) + early)
        status = peer.read_head()
        if status != 101:
            raise Refused(str(status))
    except BaseException:
        peer.sock.close()
        raise
    return peer


def read_message(peer: Peer) -> bytes:
    """Read the next data frame's payload; answer no ping."""
    while (found := peer.read_frame()).opcode in (PING, PONG):
        pass
    assert found.opcode in (TEXT, BINARY), found
    return found.payload


def try_early(server: Server) -> str:
    """Frames in the same segment as the request."""
    try:
        with connect(server, early=frame(TEXT, b"one") + frame(TEXT, b"two")) as peer:
            peer.send(frame(TEXT, b"late"))
            got = [read_message(peer)]
            while got[-1] != b"late":
                got.append(read_message(peer))
    except Refused as refused:
        return str(refused)
    if got != [b"one", b"two", b"late"]:
        return "lost" if got == [b"late"] else f"{got}"
    # More than a server's buffer, and the half of a frame, whose other half comes later.
    large, half = frame(BINARY, bytes(range(256)) * 80), frame(TEXT, b"half and half")
    with connect(server, early=large + half[:9]) as peer:
        assert read_message(peer) == bytes(range(256)) * 80
        peer.send(half[9:])
        assert read_message(peer) == b"half and half"
    return "kept"


def try_held(server: Server) -> str:
    """Many sockets open while HTTP is answered."""
    count = 200 if server.facts.threaded else 50
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect(server)) for _ in range(count)]
        assert server.http("/").body == b"hello"
        for peer in peers:
            peer.echo(b"still here")
        assert server.http("/").body == b"hello"
        for peer in peers:
            peer.send(close_frame(1000))
        for peer in peers:
            peer.expect_close(1000)
    return str(count)


def end_of(peer: Peer) -> str:
    """Wait for the server's end of the connection; return what is wrong with it."""
    if peer.data:
        return f"{len(peer.data)} bytes behind the Close frame"
    try:
        if isinstance(peer.sock, ssl.SSLSocket):
            # Sends our close_notify, and raises unless the server's comes.
            peer.sock.unwrap()
        elif peer.sock.recv(1):
            return "bytes behind the Close frame"
    except TimeoutError:
        return "the connection stays open"
    except ConnectionResetError:
        return "reset"
    except (ssl.SSLError, OSError):
        return "no close_notify"
    return ""


def try_close(server: Server) -> str:
    """Close handshakes that either side begins, each with the end of the connection behind it."""
    with connect(server) as peer:
        peer.echo()
        peer.send(close_frame(1000, b"bye"))
        peer.expect_close(1000)
        client_first = end_of(peer)
    with connect(server, "/leave") as peer:
        peer.expect_close(1000)
        peer.send(close_frame(1000))
        server_first = end_of(peer)
    match client_first, server_first:
        case "", "":
            return "clean"
        case problem, "":
            return f"{problem} (client first)"
        case "", problem:
            return f"{problem} (server first)"
        case _:
            return ", ".join(sorted({client_first, server_first}))


def try_message(server: Server) -> str:
    """A message of 5 MB to and fro."""
    size = 5_000_000
    payload = bytes(range(250)) * (size // 250)
    with connect(server) as peer:
        try:
            peer.send(frame(BINARY, payload, key=NO_KEY))
            found = peer.read_frame()
        except (EOFError, OSError):
            return "dropped"
        if found.opcode == CLOSE:
            return f"{found.code}"
        got = [found.payload]
        while not found.first & 0x80:
            found = peer.read_frame()
            got.append(found.payload)
        assert b"".join(got) == payload
        peer.send(close_frame(1000))
        peer.expect_close(1000)
    return "both ways"


def count_at_rest(server: Server) -> int:
    """Count the server's descriptors when it has come to rest."""
    counts: list[int] = []

    def at_rest() -> bool:
        counts.append(server.fds())
        return len(counts) > 20 and len(set(counts[-20:])) == 1

    wait_for(at_rest)
    return counts[-1]


def wait_until_idle(server: Server) -> None:
    """Wait until no thread of the server has anything to do, twice."""

    def is_idle() -> bool:
        pids = [server.process.pid, *child_pids(server.process.pid)]
        try:
            stats = [path.read_text() for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/stat")]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return all(stat.rpartition(")")[2].split()[0] in "SZ" for stat in stats)

    idle = [False]

    def is_still_idle() -> bool:
        idle.append(is_idle())
        return idle[-2:] == [True, True]

    wait_for(is_still_idle, GRACE, "the server to have nothing to do")


def try_descriptors(server: Server) -> str:
    """Descriptors that are left when some clients have closed and others have vanished."""
    count, held = 20, 0
    for _ in range(10):
        before = count_at_rest(server)
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(connect(server)) for _ in range(count)]
            for peer in peers:
                peer.echo()
            held = server.fds() - before
            for peer in peers[::2]:
                peer.send(close_frame(1000))
                peer.expect_close(1000)
        with contextlib.suppress(AssertionError):
            wait_for(lambda before=before: server.fds() <= before, 2 * GRACE)  # type: ignore[misc]
        if held >= count:
            return f"{max(server.fds() - before, 0)} left"
        # hypercorn keeps a connection for a while; those of the columns before were still counted.
    raise AssertionError(f"{count} clients have {held} descriptors")


def try_log(server: Server) -> str:
    """What the access log has of an upgrade."""

    def logged() -> str:
        log = _COLOURS.sub("", server.log)
        return next((name for name, pattern in _LOGGED.items() if pattern.search(log)), "nothing")

    with contextlib.suppress(AssertionError):
        wait_for(lambda: logged() != "nothing", 0.5)
    return logged()


def _hear_the_end(peer: Peer) -> str:
    """Wait for a Close frame, and answer it as a client should; return its code."""
    with peer:
        try:
            code = str(peer.read_to_close().code)
        except EOFError:
            return "no Close frame"
        except TimeoutError:
            return f"nothing within {GRACE:.0f} s"
        # It may have ended the connection at once.
        with contextlib.suppress(OSError):
            peer.send(close_frame(1001))
            peer.read_to_end()
        return code


def try_stop(server: Server, number: int | None = None) -> str:
    """A signal, by default the one that ends the server: what connections hear, and whether it ends."""
    told: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect(server)) for _ in range(5)]
        for peer in peers:
            peer.echo()
            peer.sock.settimeout(GRACE)
        # An answer may be quicker than the thread that has sent it, and uWSGI says nothing to Python when it
        # ends at once while one of its threads is in the midst of a request.
        wait_until_idle(server)
        server.signal(number)
        for peer in peers:
            told[_hear_the_end(peer)] += 1
        try:
            server.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            told["does not end"] += 1
    return ", ".join(told)


def try_quiet(server: Server) -> str:
    """Whether the server has printed errors: nothing that was tried is one."""
    found = _TROUBLE.search(server.log)
    return "errors" if found else "quiet"


#: In this order: the server has ended behind the last but one.
COLUMNS: dict[str, Callable[[Server], str]] = {
    "early": try_early,
    "held": try_held,
    "close": try_close,
    "message": try_message,
    "descriptors": try_descriptors,
    "log": try_log,
    "stop": try_stop,
    "quiet": try_quiet,
}

#: What is hoped for; of "held" and "log" it depends on the server.
GOOD = {
    "early": "kept",
    "close": "clean",
    "message": "both ways",
    "descriptors": "0 left",
    "stop": "1001",
    "quiet": "quiet",
}
