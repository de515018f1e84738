"""
What the first wire must show: thousands of WebSockets on stock gunicorn, and HTTP beside them.

One sync worker, or one gthread worker with two threads, holds a thousand open WebSockets. All of them
echo, plain requests are answered meanwhile, and the process has hardly more threads than without.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from tests.promises.attacker import Patience, Peer, allow_many_descriptors, many, report, warm_up
from tests.promises.wire import TEXT, frame
from tests.servers import Server, start

APP = "tests.promises.app:app"
COUNT = 1000

pytestmark = [pytest.mark.slow, pytest.mark.capacity]

#: By server: the threads that the process may have.
KINDS = {"gunicorn-sync": 4, "gunicorn-gthread": 2 + 3, "gunicorn-gevent": 2}


@pytest.fixture(scope="module", params=KINDS)
def crowd(request: pytest.FixtureRequest) -> Iterator[tuple[Server, list[Peer]]]:
    """A server with a thousand WebSockets open."""
    allow_many_descriptors()
    with start(request.param, APP, threads=2) as server:
        warm_up(server)
        with contextlib.ExitStack() as stack:
            peers = stack.enter_context(many(server, COUNT))
            yield server, peers
        assert "Traceback" not in server.log
        assert "ERROR" not in server.log


def echo_all(peers: list[Peer], text: bytes) -> float:
    """Let all echo at once; return how long it took."""
    began = time.perf_counter()
    for peer in peers:
        peer.send(frame(TEXT, text))
    for peer in peers:
        found = peer.read_message()  # a slow machine is so slow that the server asks who is still there
        assert (found.opcode, found.payload) == (TEXT, text)
    return time.perf_counter() - began


def test_thousand_websockets_all_echo(crowd: tuple[Server, list[Peer]]) -> None:
    server, peers = crowd
    assert len(peers) == COUNT
    elapsed = min(echo_all(peers, b"round %d" % number) for number in range(3))
    report(f"1000 echoes {server.kind}", elapsed=f"{elapsed * 1e3:.0f} ms")
    assert elapsed < 5


def test_threads_are_not_held_by_websockets(crowd: tuple[Server, list[Peer]]) -> None:
    server, peers = crowd
    echo_all(peers, b"hello")
    report(f"1000 threads {server.kind}", threads=server.threads())
    assert server.threads() <= KINDS[server.kind]


def test_http_answers_beside_a_thousand_that_echo(crowd: tuple[Server, list[Peer]]) -> None:
    server, peers = crowd
    stop = threading.Event()

    def keep_echoing() -> None:
        while not stop.wait(0.01):
            echo_all(peers, b"hello")

    patience = Patience(server)
    echoing = threading.Thread(target=keep_echoing)
    echoing.start()
    times: list[float] = []
    try:
        for _ in range(50):
            began = time.perf_counter()
            assert server.http("/").body == b"hello"
            times.append(time.perf_counter() - began)
    finally:
        stop.set()
        echoing.join()
    median, slowest, factor = statistics.median(times), max(times), patience.factor
    report(f"1000 http {server.kind}", median=f"{median * 1e3:.1f} ms", slowest=f"{slowest * 1e3:.0f} ms")
    assert median <= 0.1 * factor
    assert slowest <= 0.25 * factor


def test_new_foreign_client_finds_room(crowd: tuple[Server, list[Peer]]) -> None:
    server, _ = crowd
    began = time.perf_counter()
    with connect(server.ws_url + "/echo") as client:
        client.send("hello")
        assert client.recv(timeout=5) == "hello"
        elapsed = time.perf_counter() - began
    assert elapsed <= 1


def test_memory_of_an_idle_websocket(crowd: tuple[Server, list[Peer]]) -> None:
    """The benchmark measures it exactly. A greenlet, which gevent has for each, is a stack to keep."""
    server, _ = crowd
    with many(server, 500):
        with_more = server.rss()
        with many(server, 500):
            growth = (server.rss() - with_more) / 500
    report(f"1000 memory {server.kind}", per_websocket=f"{growth / 1024:.1f} KiB")
    assert growth <= (16 if "gevent" in server.kind else 6) * 1024
