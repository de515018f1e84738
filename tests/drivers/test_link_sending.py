"""The link's sending half: many senders, fragments, and peers that do not read."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator

import pytest

from tests.core.wire import CLOSE, TEXT
from tests.drivers.peer import EchoRecorder, Recorder, build, small_pair, wait_until
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.link import Link
from ws4py_middleware.messaging import Message
from ws4py_middleware.websocket import WebSocket

__all__ = ["threads"]


def link_of(websocket: WebSocket) -> Link:
    link = websocket._link
    assert link is not None
    return link


# --- many senders ---------------------------------------------------------------------------------


def test_four_threads_and_a_broadcaster_never_interleave(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)
    until = time.monotonic() + 2
    counts: dict[str, int] = {}

    def send(name: str, fragments: int) -> None:
        number = 0
        while time.monotonic() < until:
            text = f"{name} {number} " + name * (number * 7 % 300)
            if fragments:
                size = len(text) // fragments + 1
                recorder.send(text[i : i + size] for i in range(0, len(text), size))
            else:
                recorder.send(text)
            number += 1
        counts[name] = number

    def broadcast() -> None:
        number = 0
        while time.monotonic() < until:
            # It never waits, and the connection is closed with 1013 when it is too fast.
            wait_until(lambda: link_of(recorder).conn.backlog < 2**19)
            assert threads.manager.broadcast(f"E {number} ") == 1
            number += 1
        counts["E"] = number

    pairs = zip("ABCD", (0, 0, 3, 5), strict=True)
    joins = [threads.spawn(functools.partial(send, name, fragments)) for name, fragments in pairs]
    joins.append(threads.spawn(broadcast))
    received: dict[str, int] = dict.fromkeys("ABCDE", 0)

    def read() -> None:
        while (text := peer.read()) != "end":
            assert isinstance(text, str)
            name, number, rest = text.split(" ")
            assert int(number) == received[name]
            received[name] += 1
            if name != "E":
                assert rest == name * (int(number) * 7 % 300)

    reader = threads.spawn(read)
    for join in joins:
        join()
    recorder.send("end")
    reader()
    assert received == counts
    assert all(count > 100 for count in counts.values())
    peer.finish()
    threads.wait_closed(recorder)


def test_messages_that_wait_for_a_generator_do_not_stop_it(threads: ThreadHost) -> None:
    """What is held until its end counts as backlog; the generator must not wait for that."""
    recorder = Recorder()
    peer = threads.connect(recorder, write_high_water=1000)
    begun, go_on = threading.Event(), threading.Event()

    def parts() -> Iterator[str]:
        yield "one"
        yield "two"
        begun.set()
        assert go_on.wait(10)
        yield "three"
        yield "four"

    join = threads.spawn(lambda: recorder.send(parts()))
    assert begun.wait(10)

    def send() -> None:
        for _ in range(4):
            recorder.send("x" * 600)

    waiting = threads.spawn(send)
    wait_until(lambda: link_of(recorder)._waiters)
    go_on.set()
    assert peer.read() == "onetwothreefour"
    for _ in range(4):
        assert peer.read() == "x" * 600
    join()
    waiting()
    peer.finish()
    threads.wait_closed(recorder)


def test_generator_that_sends_messages_itself_is_not_stopped_by_them(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder, write_high_water=1000)

    def parts() -> Iterator[str]:
        yield "one"
        yield "two"
        for _ in range(4):
            recorder.send("x" * 600)
        recorder.send(part for part in ("inner ", "generator"))
        yield "three"

    join = threads.spawn(lambda: recorder.send(parts()))
    assert peer.read() == "onetwothree"
    for _ in range(4):
        assert peer.read() == "x" * 600
    assert peer.read() == "inner generator"
    join()
    peer.finish()
    threads.wait_closed(recorder)


def test_hook_that_sends_a_generator_does_not_wait_for_that_of_a_thread(threads: ThreadHost) -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            self.send(part for part in ("from ", "the ", "hook"))

    recorder = Handler()
    peer = threads.connect(recorder)
    begun, go_on = threading.Event(), threading.Event()

    def parts() -> Iterator[str]:
        yield "one"
        yield "two"
        begun.set()
        assert go_on.wait(10)
        yield "three"

    join = threads.spawn(lambda: recorder.send(parts()))
    assert begun.wait(10)
    peer.send("x")
    # The manager has to be free for the others meanwhile.
    other = EchoRecorder()
    with threads.connect(other) as second:
        second.send("y")
        assert second.read() == "y"
    go_on.set()
    join()
    assert peer.read() == "onetwothree"
    assert peer.read() == "from the hook"
    peer.finish()
    threads.wait_closed(recorder)


def test_reading_goes_on_when_a_generator_has_ended(threads: ThreadHost) -> None:
    """The echoes were held back, and reading paused for them; nothing but the generator's end tells."""
    recorder = EchoRecorder()
    peer = threads.connect(recorder, write_high_water=1000)
    begun, go_on = threading.Event(), threading.Event()

    def parts() -> Iterator[str]:
        yield "one"
        yield "two"
        begun.set()
        assert go_on.wait(10)
        yield "three"

    join = threads.spawn(lambda: recorder.send(parts()))
    assert begun.wait(10)
    peer.send_bytes(build(TEXT, b"x" * 600) * 10)
    wait_until(lambda: link_of(recorder).paused)
    go_on.set()
    join()
    assert peer.read() == "onetwothree"
    for _ in range(10):
        assert peer.read() == "x" * 600
    peer.finish()
    threads.wait_closed(recorder)


def test_generator_that_raises_half_way_closes_with_1011(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)

    def parts() -> Iterator[str]:
        yield "one"
        yield "two"
        raise KeyError("three")

    with pytest.raises(KeyError):
        recorder.send(parts())
    assert peer.read_frame() == (TEXT, b"one", False)
    assert peer.read_close() == (1011, "a message could not be completed")
    peer.close(1011)
    assert threads.wait_closed(recorder)[0] == 1011


def test_generator_that_raises_at_once_harms_nothing(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)

    def parts() -> Iterator[str]:
        yield "never sent"
        raise KeyError("one")

    with pytest.raises(KeyError):
        recorder.send(parts())
    recorder.send("fine")
    assert peer.read() == "fine"
    peer.finish()
    threads.wait_closed(recorder)


def test_close_during_a_generator_leaves_the_code_to_the_peer(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)

    def parts() -> Iterator[str]:
        yield "one"
        yield "two"
        recorder.close(4000)
        yield "three"

    with pytest.raises(ConnectionClosed):
        recorder.send(parts())
    assert peer.read_frame() == (TEXT, b"one", False)
    assert peer.read_close() == (4000, "")
    peer.close(4001)
    assert threads.wait_closed(recorder) == (4001, "")


# --- backpressure ---------------------------------------------------------------------------------


def flood(websocket: WebSocket, count: int) -> None:
    for _ in range(count):
        websocket.send(bytes(1000), binary=True)


def send_last(recorder: Recorder) -> None:
    """Send a message when there is room for it."""
    wait_until(lambda: link_of(recorder).conn.queued < 4000)
    recorder.send("last")


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
def test_message_is_dropped_at_the_limit(threads: ThreadHost, policy: str) -> None:
    recorder = Recorder()
    peer = threads.connect(
        recorder, small_pair, queue_policy=policy, write_high_water=4000, write_limit=20_000
    )
    wait_until(lambda: recorder.seen)
    count = 200
    for number in range(count):
        recorder.send(number.to_bytes(4, "big") + bytes(996), binary=True)
        assert link_of(recorder).conn.queued <= 21_000
    received = []
    join = threads.spawn(lambda: send_last(recorder))
    while (message := peer.read()) != "last":
        assert isinstance(message, bytes)
        received.append(int.from_bytes(message[:4], "big"))
    join()
    assert received == sorted(set(received))
    assert 20 < len(received) < count
    if policy == "drop-oldest":
        assert received[-15:] == list(range(count - 15, count))
    else:
        assert received == list(range(len(received)))
    recorder.send("still there")
    assert peer.read() == "still there"
    peer.finish()
    threads.wait_closed(recorder)


def test_disconnect_at_the_limit_is_told_to_the_sender(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(
        recorder, small_pair, queue_policy="disconnect", write_high_water=4000, write_limit=20_000
    )
    with pytest.raises(ConnectionClosed) as caught:
        flood(recorder, 100)
    assert caught.value.code == 1013
    *_, last = peer.frames()
    assert (last.opcode, last.payload[:2]) == (CLOSE, b"\x03\xf5")
    peer.sock.close()
    assert threads.wait_closed(recorder)[0] == 1013


@pytest.mark.parametrize("kind", ["messages", "generator"])
def test_hook_that_floods_is_stopped_at_the_limit(threads: ThreadHost, kind: str) -> None:
    errors: list[ConnectionClosed] = []

    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            try:
                if kind == "generator":
                    self.send((bytes(1000) for _ in range(10_000)), binary=True)
                flood(self, 10_000)
            except ConnectionClosed as error:
                errors.append(error)

    recorder = Handler()
    peer = threads.connect(recorder, small_pair)
    peer.send("go")
    wait_until(lambda: errors)
    assert errors[0].code == 1013
    peer.sock.close()
    assert threads.wait_closed(recorder)[0] == 1013


def test_hook_may_send_up_to_the_limit(threads: ThreadHost) -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            flood(self, 900)

    recorder = Handler()
    peer = threads.connect(recorder, small_pair)
    peer.send("go")
    for _ in range(900):
        assert peer.read() == bytes(1000)
    peer.finish()
    threads.wait_closed(recorder)


def test_what_a_hook_sends_leaves_in_one_piece(threads: ThreadHost) -> None:
    sizes: list[int] = []

    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            for _ in range(20):
                self.send("x")
                sizes.append(link_of(self).conn.queued)

    recorder = Handler()
    peer = threads.connect(recorder)
    peer.send("go")
    for _ in range(20):
        assert peer.read() == "x"
    assert sizes == [3 * n for n in range(1, 21)]
    peer.finish()
    threads.wait_closed(recorder)
