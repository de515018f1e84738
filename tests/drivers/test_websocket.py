"""The WebSocket by itself: what it sends, and how it is used by hand, as ws4py's is."""

from __future__ import annotations

import array
import gc
import logging
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import gevent
import gevent.socket
import pytest

from tests.core.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, build_close, build_frame
from tests.drivers.peer import KEY, EchoRecorder, Peer, Recorder, build, tcp_pair, wait_until
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
)
from ws4py_middleware.websocket import EchoWebSocket, WebSocket

__all__ = ["threads"]


class Source:
    """A data source that is no socket."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.sent = b""

    def recv(self, size: int) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""

    def sendall(self, data: bytes) -> None:
        self.sent += data


# --- send -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "binary", "wire"),
    [
        ("étrange", False, build_frame(TEXT, "étrange".encode())),
        ("text", True, build_frame(BINARY, b"text")),
        ("", False, build_frame(TEXT)),
        (b"bytes", False, build_frame(TEXT, b"bytes")),
        (b"\xff", True, build_frame(BINARY, b"\xff")),
        (bytearray(b"array"), False, build_frame(TEXT, b"array")),
        (memoryview(b"view"), True, build_frame(BINARY, b"view")),
        (memoryview(array.array("I", [1, 2])), True, build_frame(BINARY, array.array("I", [1, 2]).tobytes())),
        (memoryview(b"abcdef")[::2], False, build_frame(TEXT, b"ace")),
        (TextMessage("message"), True, build_frame(TEXT, b"message")),
        (BinaryMessage(b"\xff"), False, build_frame(BINARY, b"\xff")),
        (PingControlMessage("p"), False, build_frame(PING, b"p")),
        (PongControlMessage("p"), False, build_frame(PONG, b"p")),
        (CloseControlMessage(4000, "bye"), False, build_close(4000, b"bye")),
        (CloseControlMessage(None), False, build_frame(CLOSE)),
        (iter(()), False, build_frame(TEXT)),
        (["one"], False, build_frame(TEXT, b"one")),
        (("a", b"b"), True, build_frame(BINARY, b"a", fin=False) + build_frame(CONT, b"b")),
        (map(TextMessage, "ab"), False, build_frame(TEXT, b"a", fin=False) + build_frame(CONT, b"b")),
        ([b"\xc3", b"\xa9"], False, build_frame(TEXT, b"\xc3", fin=False) + build_frame(CONT, b"\xa9")),
    ],
)  # fmt: skip
def test_send_of_each_type_builds_the_frames(payload: Any, binary: bool, wire: bytes) -> None:
    source = Source()
    WebSocket(sock=source).send(payload, binary)
    assert source.sent == wire


@pytest.mark.parametrize(
    ("payload", "match"),
    [
        (b"\xff", "binary=True"),
        (bytearray(b"\xed\xa0\x80"), "UTF-8"),
        (TextMessage(b"\xff"), "binary=True"),
        ([b"ok\xff"], "binary=True"),
        ([b"\xc3"], "UTF-8"),
        ("\ud800", "surrogates"),
        (None, "NoneType"),
        (17, "int"),
        ({"a": 1}, "dict"),
        (Message(0, b"x"), "neither"),
        ([None], "NoneType"),
    ],
)
def test_send_of_what_is_no_message_raises_valueerror_and_sends_nothing(payload: Any, match: str) -> None:
    source = Source()
    websocket = WebSocket(sock=source)
    with pytest.raises(ValueError, match=match):
        websocket.send(payload)
    assert source.sent == b""
    websocket.send("fine")
    assert source.sent == build_frame(TEXT, b"fine")


def test_send_copies_what_may_change() -> None:
    source = Source()
    websocket = WebSocket(sock=source)
    data = bytearray(b"before")

    def parts() -> Iterator[str]:
        yield "a"
        yield "b"
        websocket.send(data, binary=True)  # held until the end of this message
        data[:] = b"after!"
        yield "c"

    websocket.send(parts())
    assert source.sent.endswith(build_frame(CONT, b"c") + build_frame(BINARY, b"before"))


@pytest.mark.parametrize("send", ["send", "ping", "generator"])
def test_send_after_the_end_raises_connectionclosed_which_is_a_runtimeerror(send: str) -> None:
    websocket = WebSocket(sock=Source())
    websocket.process(build_close(4321, b"bye", key=KEY))
    with pytest.raises(RuntimeError) as caught:
        websocket.ping("x") if send == "ping" else websocket.send(["x"] if send == "generator" else "x")
    assert isinstance(caught.value, ConnectionClosed)
    assert (caught.value.code, caught.value.reason) == (4321, "bye")


def test_ping_of_more_than_125_bytes_raises_valueerror() -> None:
    with pytest.raises(ValueError, match="126"):
        WebSocket(sock=Source()).ping("x" * 126)


def test_close_with_a_code_that_may_not_be_sent_raises_valueerror() -> None:
    source = Source()
    with pytest.raises(ValueError, match="1006"):
        WebSocket(sock=source).close(1006)
    assert source.sent == b""


# --- by hand --------------------------------------------------------------------------------------


def test_any_object_may_be_the_data_source() -> None:
    """The tutorial's snippet: not even a socket is needed."""

    def data_source() -> Iterator[TextMessage]:
        yield TextMessage("hello world")

    source = MagicMock(side_effect=data_source)
    websocket = EchoWebSocket(sock=source)
    websocket.send("hello there")
    source.sendall.assert_called_once_with(build_frame(TEXT, b"hello there"))


def test_without_a_source_nothing_fails() -> None:
    websocket = WebSocket()
    websocket.send("into the void")
    assert not websocket.once()
    assert websocket.connection is None
    websocket.close()
    websocket.terminate()


def test_process_calls_the_hooks_and_tells_whether_there_is_more() -> None:
    source = Source()
    websocket = EchoRecorder(sock=source)
    wire = build(TEXT, b"one") + build(PING, b"p") + build(TEXT, b"two")
    for index in range(len(wire)):
        assert websocket.process(wire[index : index + 1])
    assert websocket.seen == [("message", "one"), ("message", "two")]
    assert source.sent == build_frame(TEXT, b"one") + build_frame(PONG, b"p") + build_frame(TEXT, b"two")
    assert not websocket.process(b"")
    assert websocket.is_open
    assert not websocket.process(build_close(1000, key=KEY))
    assert websocket.terminated
    assert not websocket.process(build(TEXT, b"late"))
    assert websocket.seen[2:] == [("closed", 1000, "")]


def test_process_of_more_than_a_turn_takes_all_of_it() -> None:
    websocket = Recorder(sock=Source())
    websocket.process(build(TEXT, b"x") * 3000)
    assert len(websocket.messages) == 3000


@pytest.mark.timeout(10)
def test_process_with_a_full_inbox_does_not_spin() -> None:
    websocket = WebSocket(sock=Source())
    with pytest.raises(TimeoutError):
        websocket.receive(0)
    websocket.process(build(TEXT, b"x") * 100)
    assert [str(websocket.receive(0)) for _ in range(100)] == ["x"] * 100


def test_once_reads_once() -> None:
    websocket = EchoRecorder(sock=Source(build(TEXT, b"one") + build(TEXT, b"two"), build(TEXT, b"three")))
    assert websocket.once()
    assert websocket.messages == ["one", "two"]
    assert websocket.once()
    assert websocket.messages == ["one", "two", "three"]
    assert not websocket.once()
    assert websocket.seen[-1] == ("closed", 1006, "Going away")
    assert not websocket.once()


@pytest.mark.parametrize("error", [TimeoutError, BlockingIOError, ssl.SSLWantReadError])
def test_source_that_has_nothing_now_is_asked_again(error: type[OSError]) -> None:
    source = MagicMock()
    source.recv.side_effect = [error(), build(TEXT, b"late")]
    websocket = Recorder(sock=source)
    assert websocket.once()
    assert websocket.once()
    assert websocket.messages == ["late"]


@pytest.mark.parametrize(
    ("error", "told"), [(ConnectionResetError(104, "reset"), False), (OSError(9, "bad"), True)]
)
def test_source_that_fails_is_the_end(error: OSError, told: bool) -> None:
    source = MagicMock()
    source.recv.side_effect = error
    websocket = Recorder(sock=source)
    assert not websocket.once()
    assert websocket.seen[-1] == ("closed", 1006, error.strerror)
    assert (("error", error) in websocket.seen) is told


def test_unhandled_error_is_logged_unless_overridden(caplog: pytest.LogCaptureFixture) -> None:
    source = MagicMock()
    source.sendall.side_effect = OSError(5, "input/output error")
    websocket = EchoWebSocket(sock=source)
    websocket.process(build(TEXT, b"x"))
    assert websocket.terminated
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "input/output error" in caplog.text


def test_hook_that_raises_closes_with_1011_by_hand_too(caplog: pytest.LogCaptureFixture) -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            raise ValueError("boom")

    source = Source()
    websocket = Handler(sock=source)
    websocket.process(build(TEXT, b"x") * 2)
    assert source.sent[:4] == b"\x88\x10\x03\xf3"
    assert websocket.seen == [("message", "x"), ("closed", 1011, "internal error")]
    assert len(caplog.records) == 1


def test_interrupt_in_a_hook_goes_through_to_the_caller() -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            raise KeyboardInterrupt

    websocket = Handler(sock=Source(build(TEXT, b"x")))
    with pytest.raises(KeyboardInterrupt):
        websocket.run()
    assert websocket.seen == [("opened",), ("message", "x"), ("closed", 1011, "internal error")]


def test_terminate_in_a_hook_is_told_after_it() -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            self.terminate()
            assert not self.ends

    websocket = Handler(sock=Source())
    assert not websocket.process(build(TEXT, b"x") * 2)
    assert websocket.seen == [("message", "x"), ("closed", 1006, "Going away")]


def test_stream_always_mask_makes_it_the_end_of_a_client() -> None:
    source = Source(build_frame(TEXT, b"unmasked"))
    websocket = Recorder(sock=source)
    assert not websocket.stream.always_mask
    assert websocket.stream.expect_masking
    websocket.stream.always_mask = True
    websocket.stream.expect_masking = False
    websocket.send("x")
    assert source.sent[:2] == b"\x81\x81"
    assert websocket.once()
    assert websocket.seen == [("message", "unmasked")]


def test_marked_as_terminated_nothing_more_is_read() -> None:
    source = Source(build_frame(TEXT, b"x", key=KEY))
    websocket = Recorder(sock=source)
    websocket.client_terminated = websocket.server_terminated = True
    assert not websocket.once()
    assert source.chunks
    websocket.server_terminated = False
    assert (websocket.client_terminated, websocket.server_terminated) == (True, False)
    assert websocket.reading_buffer_size == 2


def test_close_connection_closes_the_socket_only() -> None:
    client, server = tcp_pair()
    websocket = Recorder(sock=server)
    websocket.send("x")
    websocket.close_connection()
    assert server.fileno() == -1
    assert websocket.connection is None
    assert websocket.seen == []
    websocket.close_connection()
    websocket.terminate()
    websocket.terminate()
    assert websocket.seen == [("closed", 1006, "Going away")]
    client.close()


def test_flags_tell_who_is_done() -> None:
    websocket = WebSocket(sock=Source())

    def flags() -> list[bool]:
        return [
            websocket.is_open,
            websocket.client_terminated,
            websocket.server_terminated,
            websocket.terminated,
        ]

    assert flags() == [False, False, False, False]
    websocket.send("x")
    assert flags() == [True, False, False, False]
    websocket.close()
    assert flags() == [False, False, True, False]
    websocket.process(build_close(1000, key=KEY))
    assert flags() == [False, True, True, True]


def test_addresses_are_cut_to_two_and_known_after_the_end() -> None:
    client, server = tcp_pair()
    addresses = server.getsockname(), server.getpeername()
    websocket = WebSocket(sock=server)
    assert (websocket.local_address, websocket.peer_address) == addresses
    websocket.send("x")
    assert (websocket.local_address, websocket.peer_address) == addresses
    websocket.terminate()
    client.close()
    assert (websocket.local_address, websocket.peer_address) == addresses
    source = MagicMock()
    source.getsockname.return_value = ("::1", 80, 0, 0)
    source.getpeername.return_value = "/run/some.sock"
    assert WebSocket(sock=source).local_address == ("::1", 80)
    assert WebSocket(sock=source).peer_address == "/run/some.sock"


def test_subprotocol_is_the_first_of_the_protocols() -> None:
    assert WebSocket().subprotocol is None
    assert WebSocket(protocols=["chat", "other"]).subprotocol == "chat"
    assert WebSocket().latency is None


def test_with_statement_closes() -> None:
    source = Source()
    with WebSocket(sock=source) as websocket:
        websocket.send("x")
        assert repr(websocket).startswith("<WebSocket open at ")
    assert source.sent.endswith(build_close(1000))
    assert repr(WebSocket()).startswith("<WebSocket new at ")


# --- run ------------------------------------------------------------------------------------------


def test_run_reads_until_the_end_and_hooks_never_overlap(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    websocket = EchoRecorder(sock=server)
    join = threads.spawn(websocket.run)
    with Peer(client) as peer:
        for number in range(100):
            peer.send(str(number))
            assert peer.read() == str(number)
        assert peer.finish() == (1000, "")
    join()
    assert websocket.wait_closed() == (1000, "")
    assert server.fileno() == -1


def test_terminate_from_another_thread_ends_run_and_waits_for_the_hook(threads: ThreadHost) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            inside.set()
            assert go_on.wait(10)

    for busy in (True, False):
        client, server = tcp_pair()
        websocket = Handler(sock=server)
        join = threads.spawn(websocket.run)
        if busy:
            client.sendall(build(TEXT, b"x"))
            assert inside.wait(10)
        else:
            wait_until(lambda ws=websocket: ws.seen)  # type: ignore[misc]
        websocket.terminate()
        assert not (busy and websocket.ends)
        go_on.set()
        join()
        assert websocket.wait_closed() == (1006, "Going away")
        assert server.fileno() == -1
        client.close()


def test_run_waits_while_the_inbox_is_full(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    websocket = WebSocket(sock=server)
    websocket.policy = websocket.policy.replace(receive_queue_messages=4)
    with pytest.raises(TimeoutError):
        websocket.receive(0)
    join = threads.spawn(websocket.run)
    client.sendall(build(TEXT, b"x") * 100)
    wait_until(lambda: websocket._link is not None and websocket._link.paused)
    began = time.process_time()
    threads.sleep(0.1)
    assert time.process_time() - began < 0.05
    for _ in range(100):
        assert str(websocket.receive(5)) == "x"
    client.close()
    assert websocket.receive(5) is None
    join()


def test_run_under_gevent_lets_others_send_while_one_waits() -> None:
    """A greenlet that writes lets others run, which must be able to wait for it."""
    client, server = gevent.socket.socketpair()
    websocket = EchoRecorder(sock=server)
    run: Any = gevent.spawn(websocket.run)
    data = bytes(2**20)
    big = gevent.spawn(websocket.send, data, binary=True)
    gevent.sleep(0)
    small = gevent.spawn(websocket.send, "small")
    pieces = gevent.spawn(websocket.send, ["pie", "ces"])
    gevent.sleep(0.01)
    with Peer(client) as peer:
        assert peer.read() == data
        assert sorted(str(peer.read()) for _ in range(2)) == ["pieces", "small"]
        peer.finish()
    for greenlet in (run, big, small, pieces):
        greenlet.get(timeout=10)
    assert websocket.ends == [(1000, "")]


# --- the end --------------------------------------------------------------------------------------


def test_nothing_keeps_a_websocket_without_a_manager_alive() -> None:
    gc.collect()
    gc.disable()
    logging.disable()
    try:
        for end in ("terminate", "eof", "error"):
            websocket = Recorder(sock=Source(build(TEXT, b"x")))
            if end == "error":
                websocket.sock.recv = MagicMock(side_effect=OSError(5, "broken"))
            websocket.send("x")
            websocket.run() if end != "terminate" else websocket.terminate()
            alive = weakref.ref(websocket)
            del websocket
            assert alive() is None, end
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def test_join_before_the_connection_is_refused() -> None:
    with pytest.raises(RuntimeError, match="opened"):
        WebSocket().join("room")


def test_deliver_without_a_connection_is_false() -> None:
    websocket = WebSocket()
    assert websocket.hub.publish("nobody", "x") == 0
    assert not websocket.deliver(MagicMock())
    assert not websocket.is_open


def test_opened_may_be_given_a_socket_of_any_kind() -> None:
    first, second = socket.socketpair()
    websocket = WebSocket(sock=second)
    websocket.send("x")
    assert websocket._link is not None
    assert websocket._link.transport.fileno() == second.fileno()
    websocket.close(1000)
    websocket.terminate()
    assert first.recv(100) == build_frame(TEXT, b"x") + build_close(1000)
    first.close()
