"""P22 and P24: plain HTTP beside WebSockets, and the end of a worker."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.promises.attacker import Patience, Peer, allow_many_descriptors, best, many, report, upgrade
from tests.promises.conftest import APP, StartFresh, check_log
from tests.promises.wire import BINARY, NO_KEY, frame
from tests.servers import Server, start
from ws4py_middleware.core.policy import Policy

pytestmark = pytest.mark.slow


def measure_http(server: Server, count: int) -> list[float]:
    times: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        assert server.http("/").body == b"hello"
        times.append(time.perf_counter() - began)
    return times


def test_p22_http_keeps_working_with_500_websockets_open(kind: str, start_fresh: StartFresh) -> None:
    """With ten worker threads where there are threads; none of them is held."""
    allow_many_descriptors()
    with start_fresh(threads=10) as server, many(server, 500) as peers:
        patience = Patience(server)

        def measure() -> float:
            with ThreadPoolExecutor(5) as pool:
                return max(slowest for slowest in pool.map(lambda _: max(measure_http(server, 20)), range(5)))

        slowest = best(measure, 0.25)
        for peer in peers[::50]:
            peer.echo()
        assert server.threads() <= 10 + 3
        report(f"P22 {kind}", slowest=f"{slowest * 1e3:.0f} ms", factor=f"{patience.factor:.1f}")
        assert slowest <= 0.25 * patience.factor


def test_p24_sigterm_closes_all_with_1001_and_then_the_worker_ends(kind: str) -> None:
    """Fifty foreign clients, which answer the Close frame as they should."""
    closed: list[tuple[int, float]] = []
    with start(kind, APP) as server, contextlib.ExitStack() as stack:
        paths = ("/echo", "/function", "/room/x", "/sink", "/deflate")
        clients = [stack.enter_context(connect(server.ws_url + paths[n % 5])) for n in range(50)]
        clients[0].send("hello")
        assert clients[0].recv(timeout=5) == "hello"
        began = time.monotonic()

        def wait(client: ClientConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                client.recv(timeout=20)
            closed.append(
                (client.protocol.close_rcvd.code if client.protocol.close_rcvd else 0, time.monotonic())
            )

        threads = [threading.Thread(target=wait, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        server.signal()
        for thread in threads:
            thread.join()
        told = [when - began for _, when in closed]
        server.process.wait(20)
        ended = time.monotonic() - began
        check_log(server.log)
    report(f"P24 {kind}", told=f"{max(told):.2f} s", ended=f"{ended:.2f} s")
    assert [code for code, _ in closed] == [1001] * 50
    assert max(told) <= 1
    assert ended <= (Policy().close_timeout or 0) + 1


def test_p24_sigterm_does_not_wait_for_the_silent_and_the_stuck(kind: str) -> None:
    with start(kind, APP) as server, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(upgrade(server, path)) for path in ("/echo", "/function", "/sink") * 5]
        stuck = [
            stack.enter_context(upgrade(server, path, receive_buffer=4096)) for path in ("/echo", "/function")
        ]
        for peer in stuck:
            peer.flood(frame(BINARY, bytes(60_000), key=NO_KEY), seconds=0.3)
        began = time.monotonic()
        server.signal()
        for peer in silent:
            assert read_code(peer) == 1001
        told = time.monotonic() - began
        server.process.wait(20)
        ended = time.monotonic() - began
        check_log(server.log)
    report(f"P24 {kind} silent", told=f"{told:.2f} s", ended=f"{ended:.2f} s")
    assert ended <= (Policy().close_timeout or 0) + 1


def read_code(peer: Peer) -> int:
    peer.sock.settimeout(15)
    return peer.read_to_close().code
