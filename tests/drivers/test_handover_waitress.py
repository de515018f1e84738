"""waitress' adapter on its channels, with requests that nobody serves yet: what it refuses, untouched."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Callable, Iterator
from types import MethodType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import WSGITask

from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover import find
from ws4py_middleware.handover.answers import answer

REQUEST = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
KEY = "waitress.client_disconnected"

Environ = dict[str, Any]


class Dispatcher:
    """Keeps the tasks; the tests run them."""

    def __init__(self) -> None:
        self.tasks: list[Any] = []

    def add_task(self, task: Any) -> None:
        self.tasks.append(task)

    def shutdown(self) -> None:
        """There are no threads."""


class Waiting(NamedTuple):
    """A connection, with its first request in the queue."""

    channel: Any
    environ: Environ
    client: socket.socket
    loop: Callable[[], None]


@contextlib.contextmanager
def waiting(data: bytes = REQUEST, app: Any = print) -> Iterator[Waiting]:
    sockets: dict[int, Any] = {}
    server = create_server(app, map=sockets, host="127.0.0.1", port=0, _dispatcher=Dispatcher())
    ours, client = socket.socketpair()
    with client:
        client.settimeout(5)
        channel = HTTPChannel(server, ours, ("127.0.0.1", 1), server.adj, map=sockets)
        client.sendall(data)
        channel.handle_read()
        environ = WSGITask(channel, channel.requests[0]).get_environment()
        yield Waiting(channel, environ, client, functools.partial(wasyncore.poll, 0, sockets))
        channel.close()
        server.close()


def check_untouched(case: Waiting) -> None:
    case.client.sendall(b"untouched")
    assert case.channel.socket.recv(9) == b"untouched"
    for lock in (case.channel.requests_lock, case.channel.outbuf_lock):
        assert lock.acquire(False), "it was left locked"
        lock.release()


def detach(case: Waiting) -> Any:
    return find(case.environ, None).detach(case.environ, None)


def test_channel_gives_the_early_bytes_and_goes_on_with_the_dummy() -> None:
    with waiting(REQUEST + b"early") as case:
        number = case.channel.socket.fileno()
        taken = detach(case)
        with contextlib.closing(taken.transport), contextlib.closing(taken.sink):
            assert taken.early == b"early"
            assert case.channel.request is None
            case.client.sendall(b"late")
            assert taken.transport.recv() == b"late"
            # Its loop does not look at a connection whose request is being served,
            case.loop()
            assert case.channel.connected
            # and then finds that the client has gone.
            case.channel.requests.clear()
            case.loop()
            assert not case.channel.connected
            assert number not in case.channel._map
            assert taken.sink.recv(1) == b""
            assert taken.transport.send(b"still here") == 10


def test_flavour_is_known_before_anything_is_taken() -> None:
    with waiting() as case:
        assert find(case.environ, None).is_gevent(case.environ, None) is False
        check_untouched(case)


@pytest.mark.parametrize(
    ("behind", "message"),
    [
        (b"frames\r\n\r\n", "wait for the 101"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf", "wait for the 101"),
        (REQUEST, "wait for the 101"),
    ],
)
def test_what_was_taken_for_a_request_is_refused(behind: bytes, message: str) -> None:
    with waiting(REQUEST + behind) as case:
        queued = len(case.channel.requests), case.channel.request
        with pytest.raises(HandoverError, match=f"waitress does not .*{message}") as caught:
            detach(case)
        assert caught.value.status == 501
        assert (len(case.channel.requests), case.channel.request) == queued
        check_untouched(case)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adj": SimpleNamespace(channel_request_lookahead=1)}, "leave that at 0"),
        ({"total_outbufs_len": 5}, "the request before this one"),
        ({"connected": False}, "closed the connection already"),
        ({"will_close": True}, "closed the connection already"),
    ],
)
def test_channel_in_another_state_is_refused(change: dict[str, Any], message: str) -> None:
    with waiting() as case:
        before = {name: getattr(case.channel, name) for name in change}
        vars(case.channel).update(change)
        with pytest.raises(HandoverError, match=message) as caught:
            detach(case)
        assert caught.value.status == 501
        vars(case.channel).update(before)
        check_untouched(case)


class Without:
    """A channel as another release might have it."""

    def __init__(self, channel: Any, gone: str) -> None:
        self._channel, self._gone = channel, gone

    def __getattr__(self, name: str) -> Any:
        if name == self._gone:
            raise AttributeError(name)
        return getattr(self._channel, name)


@pytest.mark.parametrize(
    "gone",
    [
        "adj",
        "connected",
        "outbuf_lock",
        "request",
        "requests",
        "requests_lock",
        "socket",
        "total_outbufs_len",
        "will_close",
    ],
)
def test_attribute_that_has_moved_is_refused_and_says_which_release(gone: str) -> None:
    with waiting(REQUEST + b"early") as case:
        case.environ[KEY] = MethodType(lambda self: False, Without(case.channel, gone))
        with pytest.raises(HandoverError, match=r"waitress 3\.0; install") as caught:
            detach(case)
        assert caught.value.status == 501
        check_untouched(case)


def test_function_in_place_of_the_method_is_refused() -> None:
    with waiting() as case:
        case.environ[KEY] = lambda: False
        with pytest.raises(HandoverError, match=r"waitress 3\.0"):
            detach(case)
        check_untouched(case)


@pytest.mark.parametrize("wrapped", [False, True])
def test_answer_ends_the_connection(wrapped: bool) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]]) -> Callable[[bytes], None]:
            write = start_response(status, headers)
            return functools.partial(write)

        return answer(environ, start if wrapped else start_response, 426, "no", [("Upgrade", "websocket")])

    with waiting(REQUEST + b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n", app) as case:
        case.channel.service()
        case.loop()
        assert case.channel.requests == []
        received = case.client.recv(10_000)
        assert received.startswith(b"HTTP/1.1 426 ")
        assert received.count(b"HTTP/1.1") == 1
        assert (b"Connection: close" if wrapped else b"Connection: close, Upgrade") in received
        assert (b"Upgrade: websocket" in received) is not wrapped
        case.loop()
        assert case.client.recv(1) == b""
