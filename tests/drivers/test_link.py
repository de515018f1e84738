"""The link: one connection between core, transport, handler and loop."""

from __future__ import annotations

import functools
import gc
import logging
import socket
import time
import weakref
from typing import Any

import pytest

from tests.core.wire import BINARY, PING, PONG, TEXT
from tests.drivers.peer import EchoRecorder, Peer, Recorder, build, tcp_pair, wait_until
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware.handover import Transport
from ws4py_middleware.link import Link
from ws4py_middleware.messaging import Message
from ws4py_middleware.websocket import WebSocket

__all__ = ["threads"]


def link_of(websocket: WebSocket) -> Link:
    link = websocket._link
    assert link is not None
    return link


# --- pausing --------------------------------------------------------------------------------------


def test_pause_does_not_kill_by_ping_timeout(threads: ThreadHost) -> None:
    websocket = WebSocket()
    peer = threads.connect(websocket, receive_queue_messages=2, ping_interval=0.02, ping_timeout=0.1)
    with pytest.raises(TimeoutError):
        websocket.receive(0)
    peer.send_bytes(build(TEXT, b"x") * 10)
    wait_until(lambda: link_of(websocket).paused)
    began = time.monotonic()
    while time.monotonic() - began < 0.3:
        frame = peer.read_frame()
        assert frame.opcode == PING
        peer.pong(frame.payload)
        if frame.payload[-1] == 1:
            break
    assert link_of(websocket).paused
    wait_until(lambda: time.monotonic() - began > 0.3)
    assert websocket.is_open
    for _ in range(10):
        assert str(websocket.receive(5)) == "x"
    assert websocket.is_open
    peer.sock.close()
    assert websocket.receive(5) is None


def test_timers_run_on_after_a_pause(threads: ThreadHost) -> None:
    websocket = WebSocket()
    peer = threads.connect(websocket, receive_queue_messages=2, ping_interval=None, idle_timeout=0.1)
    with pytest.raises(TimeoutError):
        websocket.receive(0)
    peer.send_bytes(build(TEXT, b"x") * 3)
    wait_until(lambda: link_of(websocket).paused)
    wait_until(lambda: threads.manager._timers.next() is None)
    for _ in range(3):
        websocket.receive(5)
    assert peer.read_close() == (1000, "no message within 0.1 s")
    peer.close()


def test_peer_that_hangs_up_on_a_full_inbox_is_heard_to_the_end(threads: ThreadHost) -> None:
    """On a Unix socket the kernel tells of the end before the last bytes are read."""
    websocket = WebSocket()
    peer = threads.connect(websocket, socket.socketpair, receive_queue_messages=2)
    with pytest.raises(TimeoutError):
        websocket.receive(0)
    peer.send_bytes(build(TEXT, b"x") * 10)
    wait_until(lambda: link_of(websocket).paused)
    peer.send_bytes(build(TEXT, b"y") * 1000)
    peer.close(4000)
    peer.sock.close()
    began = time.process_time()
    threads.sleep(0.1)
    assert time.process_time() - began < 0.05
    assert [str(message) for message in websocket] == ["x"] * 10 + ["y"] * 1000
    wait_until(lambda: not len(threads.manager))


def test_peer_that_resets_while_paused_is_noticed(threads: ThreadHost) -> None:
    recorder = EchoRecorder()
    peer = threads.connect(recorder, write_high_water=1000, write_limit=2**30)
    stop = False

    def flood() -> None:
        while not stop:
            peer.sock.send(build(BINARY, bytes(60_000)))

    peer.sock.settimeout(0.2)
    join = threads.spawn(flood)
    with pytest.raises(TimeoutError):
        join()
    wait_until(lambda: link_of(recorder).paused)
    peer.reset()
    assert threads.wait_closed(recorder)[0] == 1006


def test_half_closed_peer_that_reads_nothing_costs_no_cpu(threads: ThreadHost) -> None:
    """The end of its bytes is readable for ever."""
    recorder = Recorder()
    peer = threads.connect(recorder, socket.socketpair)
    recorder.send(bytes(2**23), binary=True)
    peer.sock.shutdown(socket.SHUT_WR)
    recorder.wait_closed()
    assert link_of(recorder).blocked
    began = time.process_time()
    threads.sleep(0.3)
    assert time.process_time() - began < 0.1
    assert len(peer.read()) == 2**23
    peer.read_end()
    wait_until(lambda: not len(threads.manager))


# --- crossed waits, as TLS has them -----------------------------------------------------------------


class Crossed(Transport):
    """Like TLS in the middle of a renegotiation: it writes before it reads, and reads before it writes."""

    __slots__ = ("recv_needs_write", "send_needs_read", "waits")

    def __init__(self, sock: socket.socket) -> None:
        self.recv_needs_write = self.send_needs_read = False
        self.waits: list[str] = []
        super().__init__(sock, owner=sock)

    def recv(self, size: int = 65536) -> bytes | None:
        if self.waits and self.waits[0] == "read":
            self.waits.pop(0)
            self.recv_needs_write = True
            return None
        self.recv_needs_write = False
        return super().recv(size)

    def send(self, data: Any) -> int:
        if self.waits and self.waits[0] == "write":
            self.waits.pop(0)
            self.send_needs_read = True
            return 0
        self.send_needs_read = False
        return super().send(data)

    def interest(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        crossed_read = reading and self.recv_needs_write
        crossed_write = writing and self.send_needs_read
        return (reading and not crossed_read) or crossed_write, (
            writing and not crossed_write
        ) or crossed_read


def test_read_that_waits_for_a_write_goes_on_when_that_is_possible(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    transport = Crossed(server)
    transport.waits = ["read", "read"]
    recorder = EchoRecorder()
    threads.manager.attach(recorder, transport)
    with Peer(client) as peer:
        for text in ("one", "two"):
            peer.send(text)
            assert peer.read() == text
        peer.finish()
    threads.wait_closed(recorder)


def test_write_that_waits_for_a_read_goes_on_when_that_is_possible(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    transport = Crossed(server)
    transport.waits = ["write"]
    recorder = Recorder()
    threads.manager.attach(recorder, transport)
    wait_until(lambda: recorder.seen)
    with Peer(client) as peer:
        recorder.send("late")
        assert link_of(recorder).blocked
        peer.send("x")
        assert peer.read() == "late"
        peer.finish()
    threads.wait_closed(recorder)


# --- the end --------------------------------------------------------------------------------------


@pytest.mark.cpython
@pytest.mark.parametrize("end", ["close", "reset", "eof", "terminate", "error in a hook", "stop"])
def test_nothing_keeps_a_connection_alive_after_its_end(threads: ThreadHost, end: str) -> None:
    class Handler(EchoRecorder):
        def on_message(self, message: Message) -> None:
            if end == "error in a hook":
                raise ValueError("boom")
            super().on_message(message)

    logging.disable()  # pytest keeps what is logged, and so the traceback
    gc.collect()
    gc.disable()
    try:
        websocket = Handler()
        peer = threads.connect(websocket, ping_interval=0.5)
        peer.send("x")
        if end != "error in a hook":
            peer.read()
        websocket.join("room")
        alive: list[Any] = [weakref.ref(websocket), weakref.ref(link_of(websocket))]
        if end == "close":
            peer.finish()
        elif end == "reset":
            peer.reset()
        elif end == "terminate":
            websocket.terminate()
        elif end == "stop":
            threads.manager.stop()
        else:
            peer.sock.close()
        del websocket
        wait_until(lambda: not len(threads.manager))
        wait_until(lambda: not any(ref() for ref in alive), 2)
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("end", ["the peer leaves", "the hook closes"])
def test_hook_that_sends_to_a_connection_that_has_ended_is_no_fault(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    """P25: no record but that of the end; a peer can leave at any time, also while a hook sends."""

    class Sender(Recorder):
        def on_message(self, message: Message) -> None:
            if end == "the hook closes":
                self.close(1000)
            else:
                peer.reset()
            while True:
                self.send(b"x" * 100_000, binary=True)

    recorder = Sender()
    peer = threads.connect(recorder)
    with caplog.at_level(logging.INFO):
        peer.send("go")
        if end == "the hook closes":
            assert peer.read_close() == (1000, "")
            peer.close(1000)
            assert threads.wait_closed(recorder)[0] == 1000
        else:
            assert threads.wait_closed(recorder)[0] == 1006
    assert {record.name for record in caplog.records} <= {"ws4py_middleware.access"}


def test_error_of_the_system_is_told_to_the_handler(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)
    wait_until(lambda: recorder.seen)
    # The descriptor is closed behind everybody's back.
    socket.close(link_of(recorder).fd)
    peer.sock.close()
    recorder.ping()
    assert recorder.wait_closed()[0] == 1006
    assert [event[0] for event in recorder.seen] == ["opened", "error", "closed"]
    link_of(recorder).transport.sock.detach()  # type: ignore[attr-defined]


def test_close_from_within_and_without_at_once_is_one_close(threads: ThreadHost) -> None:
    for _ in range(50):
        recorder = Recorder()
        peer = threads.connect(recorder)
        joins = [threads.spawn(recorder.close) for _ in range(3)] + [threads.spawn(peer.close)]
        for join in joins:
            join()
        assert peer.read_close()[0] == 1000
        peer.read_end()
        peer.sock.close()
        assert threads.wait_closed(recorder)[0] == 1000


def test_terminate_from_many_threads_tells_once(threads: ThreadHost) -> None:
    for _ in range(50):
        recorder = Recorder()
        peer = threads.connect(recorder)
        joins = [threads.spawn(recorder.terminate) for _ in range(3)] + [threads.spawn(peer.reset)]
        for join in joins:
            join()
        wait_until(lambda: not len(threads.manager))
        assert [event[0] for event in recorder.seen] == ["opened", "closed"]


def test_storm_of_messages_and_closes_from_threads_loses_no_wakeup(threads: ThreadHost) -> None:
    """Each round trip needs a wake-up of its own; the one that was lost would wait for the keepalive."""
    recorders = [Recorder() for _ in range(8)]
    ends = [threads.connect(recorder) for recorder in recorders]

    def talk(recorder: Recorder, peer: Peer) -> None:
        for number in range(300):
            recorder.send(str(number))
            assert peer.read() == str(number)
            link_of(recorder).loop.again(link_of(recorder))
        recorder.terminate()
        peer.read_end()

    pairs = zip(recorders, ends, strict=True)
    for join in [threads.spawn(functools.partial(talk, *pair)) for pair in pairs]:
        join()
    for recorder in recorders:
        assert threads.wait_closed(recorder)[0] == 1006


@pytest.mark.parametrize(
    ("behind", "policy", "code"),
    [(b"\xff\xff", {}, 1002), (build(TEXT, b"x"), {"message_rate": 2}, 1008)],
    ids=["bad-frame", "too-many"],
)
def test_error_right_behind_a_message_does_not_wait_for_more(
    threads: ThreadHost, behind: bytes, policy: dict[str, Any], code: int
) -> None:
    class Slow(Recorder):
        def on_message(self, message: Message) -> None:
            time.sleep(0.002)  # too short for another thread to take over

    websocket = Slow()
    peer = threads.connect(websocket, ping_interval=None, turn_time=0.001, **policy)
    peer.send("first")
    peer.ping()
    assert peer.read_frame().opcode == PONG  # the turn that each connection begins with is over
    peer.send_bytes(build(TEXT, b"x") + behind)
    assert peer.read_close()[0] == code
    peer.sock.close()
    assert websocket.wait_closed()[0] == code
    assert websocket.messages == ["first", "x"]
