"""client.asyncdialing: the steps of an opening in a loop; each has its time, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.entrances.asyncio_client import resolving, run
from tests.entrances.scripted import BOUND, Visit, scripted
from tests.entrances.test_client_dialing import black_hole
from tests.servers import client_context, free_port, server_context
from ws4py_middleware.client.asyncdialing import ClientProtocol, drive_async
from ws4py_middleware.client.dialing import Deadline
from ws4py_middleware.client.steps import (
    Conversation,
    Dial,
    DialUnix,
    HangUp,
    Receive,
    Send,
    StartTLS,
    Step,
)
from ws4py_middleware.process import get_task_manager

TLS = StartTLS(client_context(), "localhost", "localhost")


async def drive(conversation: Conversation, timeout: float | None = 10) -> tuple[ClientProtocol, bytes]:
    return await drive_async(conversation, Deadline(timeout), get_task_manager())


async def ask(conversation: Conversation, timeout: float | None = 10) -> bytes:
    """Return what a conversation does, and hang up."""
    protocol, data = await drive(conversation, timeout)
    assert protocol.transport is not None
    protocol.transport.abort()
    await asyncio.sleep(0)
    return data


def steps(*steps: Step) -> Conversation:
    """Do one step after the other; the result is the last one's."""
    result = b""
    for step in steps:
        result = (yield step) or b""
    return result


def shout(visit: Visit) -> None:
    """Send back in upper case what is said, until the end."""
    while data := visit.sock.recv(65536):
        visit.send(data.upper())


def wait(visit: Visit) -> None:
    visit.wait_end()


@contextlib.contextmanager
def full_backlog(path: Path) -> Iterator[str]:
    """Listen on a Unix socket, whose backlog is full."""
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(str(path))
        listener.listen(0)
        while True:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.setblocking(False)
            try:
                sock.connect(str(path))
            except BlockingIOError:
                break
        yield str(path)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_conversation_gets_what_it_asks_for(loop: str, kind: str, tls: bool, tmp_path: Path) -> None:
    path = str(tmp_path / "socket") if kind == "unix" else None
    with scripted(shout, tls=server_context() if tls else None, path=path) as server:
        secure: list[Step] = [TLS] if tls else []
        dial = Dial("127.0.0.1", server.port) if path is None else DialUnix(path)

        def talk() -> Conversation:
            for word in (b"one", b"two" * 100_000):
                yield dial
                yield from secure
                yield Send(word)
                answer = b""
                while len(answer) < len(word):
                    answer += yield Receive()
                assert answer == word.upper()
                assert (yield Receive(within=0.01)) is None
                yield HangUp()
            yield dial
            return b"done"

        assert run(ask(talk()), loop) == b"done"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_what_arrives_behind_the_conversation_waits_in_the_stream_and_is_bounded(tls: bool) -> None:
    content = bytes(range(256)) * 16384

    def script(visit: Visit) -> None:
        with contextlib.suppress(TimeoutError):
            visit.send(content)

    async def main() -> None:
        secure: list[Step] = [TLS] if tls else []
        protocol, first = await drive(steps(Dial("127.0.0.1", server.port), *secure, Receive()))
        for _ in range(50):
            await asyncio.sleep(0.001)
        # What is read ahead, and what asyncio's TLS has decrypted by then: 256 KiB.
        assert protocol.stream.pending() <= 5 * 65536
        received = bytearray(first)
        while data := await protocol.receive(BOUND):
            received += data
        assert received == content
        assert protocol.transport is not None
        protocol.transport.abort()
        await asyncio.sleep(0)

    with scripted(script, tls=server_context() if tls else None) as server:
        run(main())


# --- what takes too long, and who gives up ------------------------------------------------------------


@contextlib.contextmanager
def endless(name: str, folder: Path) -> Iterator[tuple[list[Step], str]]:
    """Have a step that is never done; and what it is called."""
    if name == "tcp":
        with black_hole() as (host, port):
            yield [Dial(host, port)], f"the TCP connection to {host}:{port}"
    elif name == "unix":
        with full_backlog(folder / "socket") as path:
            yield [DialUnix(path)], f"the connection to {path!r}"
    else:
        last: Step = Receive()
        what = "the opening handshake"
        if name == "tls":
            last, what = (
                StartTLS(client_context(), "localhost", "the server"),
                "the TLS handshake with the server",
            )
        with scripted(wait) as server:
            yield [Dial("localhost", server.port), last], what


ENDLESS = ["tcp", "unix", "tls", "answer"]


@pytest.mark.parametrize("name", ENDLESS)
def test_a_step_that_takes_too_long_is_named(name: str, tmp_path: Path) -> None:
    with endless(name, tmp_path) as (script, what):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"not done within 0\.3 s \(open_timeout\)") as caught:
            run(ask(steps(*script), 0.3))
        assert str(caught.value).startswith(what)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("name", ENDLESS)
def test_to_cancel_leaves_nothing(name: str, loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        closed: list[bool] = []

        def talk() -> Conversation:
            try:
                return (yield from steps(*script))
            finally:
                closed.append(True)

        task = asyncio.create_task(ask(talk(), None))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed == [True]

    with endless(name, tmp_path) as (script, _):
        run(main(), loop)


@pytest.mark.parametrize("rounds", range(12))
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_to_cancel_at_any_moment_leaves_nothing(rounds: int, tls: bool) -> None:
    async def main() -> None:
        secure: list[Step] = [TLS] if tls else []
        talk = steps(Dial("127.0.0.1", server.port), *secure, Send(b"x"), Receive())
        task = asyncio.create_task(ask(talk))
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    with scripted(shout, tls=server_context() if tls else None) as server:
        run(main())


def test_a_look_up_that_takes_too_long_is_named() -> None:
    release = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def getaddrinfo(*args: Any, **options: Any) -> Any:
            await loop.run_in_executor(None, release.wait, BOUND)

        loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
        try:
            with pytest.raises(
                TimeoutError, match=r"the look-up of slow\.example was not done within 0\.1 s"
            ):
                await ask(steps(Dial("slow.example", 80)), 0.1)
        finally:
            release.set()
            del loop.getaddrinfo

    run(main())


def test_time_that_is_over_already_starts_nothing() -> None:
    with pytest.raises(TimeoutError, match=r"the look-up of 127\.0\.0\.1"):
        run(ask(steps(Dial("127.0.0.1", 1)), 1e-9))


# --- addresses ---------------------------------------------------------------------------------------------


def test_the_first_address_that_answers_is_taken() -> None:
    async def main() -> None:
        addresses = [
            (socket.AF_INET6, ("::1", free_port(), 0, 0)),
            (socket.AF_INET, ("127.0.0.1", free_port())),
            (socket.AF_INET, ("127.0.0.1", server.port)),
        ]
        with resolving(*addresses) as asked:
            assert await ask(steps(Dial("many.example", 80), Send(b"x"), Receive())) == b"X"
        assert asked == ["many.example"]

    with scripted(shout) as server:
        run(main())


def test_an_address_that_swallows_packets_has_a_short_head_start_only() -> None:
    async def main() -> None:
        with resolving((socket.AF_INET, hole), (socket.AF_INET, ("127.0.0.1", server.port))):
            began = time.monotonic()
            await ask(steps(Dial("many.example", 80)))
            assert 0.2 < time.monotonic() - began < 2

    with scripted(wait) as server, black_hole() as hole:
        run(main())


def test_families_take_turns() -> None:
    async def main() -> None:
        holes = [(socket.AF_INET, hole)] * 8
        with resolving(*holes, (socket.AF_INET6, ("::1", port, 0, 0))):
            began = time.monotonic()
            await ask(steps(Dial("many.example", 80)))
            assert time.monotonic() - began < 2  # as the second, not as the ninth

    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener, black_hole() as hole:
        port = listener.getsockname()[1]
        run(main())


def test_when_none_answers_the_message_has_the_reason_of_each() -> None:
    port = free_port()

    async def main() -> None:
        many = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]
        with resolving(*many):
            match = r"no connection to many\.example:80 \(::1: .*; 127\.0\.0\.1: Connection refused\)"
            with pytest.raises(OSError, match=match):
                await ask(steps(Dial("many.example", 80)))
        with pytest.raises(ConnectionRefusedError, match=rf"no connection to \[::1\]:{port}: "):
            await ask(steps(Dial("::1", port)))
        with resolving(), pytest.raises(OSError, match=r"none\.example has no address"):
            await ask(steps(Dial("none.example", 80)))

    run(main())


def test_a_name_that_nobody_knows_is_an_oserror_with_the_name() -> None:
    with pytest.raises(socket.gaierror, match=r"nobody\.invalid cannot be looked up: "):
        run(ask(steps(Dial("nobody.invalid", 80))))


def test_a_unix_socket_that_is_not_there_is_an_oserror_with_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "nobody")
    with pytest.raises(FileNotFoundError, match=rf"no connection to '{path}': No such file"):
        run(ask(steps(DialUnix(path))))


def test_a_full_backlog_of_a_unix_socket_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        task = asyncio.create_task(ask(steps(DialUnix(path))))
        await asyncio.sleep(0.05)
        assert not task.done()
        while not task.done():
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()
            await asyncio.sleep(0.01)
        await task

    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(0)
        listener.setblocking(False)
        for _ in range(3):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(path)
        run(main())


# --- what goes wrong under way -------------------------------------------------------------------------


def reset(visit: Visit) -> None:
    visit.sock.recv(65536)
    visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def leave(visit: Visit) -> None:
    visit.sock.recv(65536)


def babble(visit: Visit) -> None:
    visit.sock.recv(65536)
    visit.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("script", [reset, leave, babble])
def test_a_tls_handshake_that_breaks_is_an_oserror_at_once(
    script: Callable[[Visit], None], loop: str
) -> None:
    began = time.monotonic()
    with scripted(script) as server, pytest.raises(OSError, match=r".") as caught:
        run(ask(steps(Dial("127.0.0.1", server.port), TLS)), loop)
    assert not isinstance(caught.value, TimeoutError)
    assert time.monotonic() - began < 2


def test_a_certificate_for_somebody_else_is_refused() -> None:
    tls = StartTLS(client_context(), "other.example", "other.example")
    with scripted(wait, tls=server_context()) as server, pytest.raises(ssl.SSLCertVerificationError):
        run(ask(steps(Dial("127.0.0.1", server.port), tls)))


def test_a_peer_that_speaks_before_tls_is_not_listened_to() -> None:
    def script(visit: Visit) -> None:
        visit.send(b"220 welcome, whoever you are\r\n")
        visit.wait_end()

    with scripted(script) as server:
        for _ in range(5):
            with pytest.raises(ssl.SSLError):
                run(ask(steps(Dial("127.0.0.1", server.port), TLS)))


def test_a_reset_is_thrown_into_the_conversation_and_what_it_raises_ends_the_connection() -> None:
    def talk() -> Conversation:
        yield Dial("127.0.0.1", server.port)
        yield Send(b"x")
        try:
            yield Receive()
        except ConnectionResetError:
            yield Send(b"to nobody")
            raise KeyError("lost") from None
        return b""

    with scripted(reset) as server, pytest.raises(KeyError, match="lost"):
        run(ask(talk()))


def test_the_end_is_no_bytes_again_and_again() -> None:
    def talk() -> Conversation:
        yield Dial("127.0.0.1", server.port)
        yield Send(b"x")
        for _ in range(3):
            assert (yield Receive()) == b""
        return b"the end"

    with scripted(leave) as server:
        assert run(ask(talk())) == b"the end"
