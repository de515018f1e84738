"""
P1 to P5: what one hostile client costs in memory and CPU time, measured on the worker from outside.

The order counts: memory is counted from the start of the server, and the strictest come first.
"""

from __future__ import annotations

import time

import pytest

from tests.promises.attacker import DEFLATE, Memory, best, cpu_seconds, report, upgrade
from tests.promises.conftest import StartFresh
from tests.promises.floods import ZEROS, make_bomb
from tests.promises.wire import BINARY, CONTINUATION, NO_KEY, PING, PONG, TEXT, KiB, MiB, deflate, frame
from tests.servers import Server

pytestmark = pytest.mark.slow

LIMIT = MiB


# --- at most 1 MiB ---------------------------------------------------------------------------------


def test_p05_unread_pings_do_not_pile_up(fresh: Server) -> None:
    """Nothing but pings is refused soon; with a message now and then they still do not pile up."""
    pings = frame(PING, b"p" * 125, key=NO_KEY) * 500
    with Memory(fresh) as memory:
        with upgrade(fresh, receive_buffer=4096) as peer:
            peer.flood(pings, seconds=0.5, limit=64 * MiB)
        with upgrade(fresh, "/sink", receive_buffer=4096) as peer:
            taken = peer.flood(pings + frame(TEXT), seconds=1, limit=64 * MiB)
    report(f"P5 {fresh.kind}", growth=memory.text, taken=taken)
    assert memory.growth <= MiB


def test_p05_pings_beyond_1024_in_a_row_are_1008(fresh: Server) -> None:
    with upgrade(fresh) as peer:
        peer.send(frame(PING, b"1") * 1024)
        for _ in range(1024):
            assert peer.read_frame().opcode == PONG
        peer.echo()
        peer.send(frame(PING, b"1") * 1500)
        peer.expect_close(1008)


@pytest.mark.parametrize("size", [0, 1])
def test_p03_million_fragments_are_refused_at_4097(fresh: Server, size: int) -> None:
    more = frame(CONTINUATION, b"x" * size, fin=False)
    first = frame(TEXT, b"x" * size, fin=False)
    with Memory(fresh) as memory:
        before = cpu_seconds(fresh)
        with upgrade(fresh, "/size") as peer:  # 4096 are a message
            peer.send(first + more * 4094 + frame(CONTINUATION, b"x" * size))
            assert peer.read_frame().payload == b"%d" % (4096 * size)
        with upgrade(fresh) as peer:
            peer.send(first + more * 4095 + frame(PING, b"still here"))
            assert peer.read_frame().payload == b"still here"
            peer.send(more)
            peer.expect_close(1009)
        with upgrade(fresh) as peer:
            peer.send(first)
            peer.flood(more * 10_000, seconds=3, limit=1_000_000 * len(more))
            peer.expect_close(1009)
        cpu = cpu_seconds(fresh) - before
    report(f"P3 {fresh.kind} {size} B", growth=memory.text, cpu=f"{cpu * 1e3:.0f} ms")
    assert memory.growth <= MiB
    assert cpu <= 1


def test_p02_payload_of_a_refused_frame_is_not_kept(fresh: Server) -> None:
    with Memory(fresh) as memory, upgrade(fresh) as peer:
        peer.send(frame(BINARY, length=2**40))
        peer.flood(ZEROS, seconds=1, limit=256 * MiB)
        peer.expect_close(1009)
    report(f"P2 {fresh.kind} 1 TiB announced and sent", growth=memory.text)
    assert memory.growth <= MiB


@pytest.mark.parametrize("length", [LIMIT + 1, 2**31, 2**32 + 1, 2**63 - 1])
def test_p02_oversize_frame_is_refused_from_its_header(fresh: Server, length: int) -> None:
    """Not a byte of payload is sent: the answer needs none."""

    def measure() -> float:
        with upgrade(fresh) as peer:
            began = time.perf_counter()
            peer.send(frame(BINARY, length=length))
            peer.expect_close(1009)
            elapsed = time.perf_counter() - began
            assert peer.read_to_end() == b""
            return elapsed

    elapsed = best(measure, 0.1)
    report(f"P2 {fresh.kind} {length}", answered=f"{elapsed * 1e3:.1f} ms")
    assert elapsed <= 0.1


# --- at most twice max_message_size ------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/deflate", "/deflate-function"])
def test_p04_bomb_stops_at_the_limit(fresh: Server, path: str) -> None:
    wire = frame(BINARY, make_bomb(256 * KiB), rsv=4, key=NO_KEY)
    assert 250 * KiB < len(wire) < 280 * KiB
    with Memory(fresh) as memory:

        def measure() -> float:
            before = cpu_seconds(fresh)
            with upgrade(fresh, path, DEFLATE) as peer:
                peer.send(wire)
                peer.expect_close(1009)
                return cpu_seconds(fresh) - before

        cpu = best(measure, 0.05)
    report(f"P4 {fresh.kind} {path} 256 MiB", growth=memory.text, cpu=f"{cpu * 1e3:.0f} ms")
    assert memory.growth <= 2 * LIMIT
    assert cpu <= 0.05


def test_p04_bomb_in_fragments_stops_at_the_limit(fresh: Server) -> None:
    payload = make_bomb(256 * KiB)
    pieces = [payload[start : start + 100] for start in range(0, len(payload), 100)]
    with Memory(fresh) as memory, upgrade(fresh, "/deflate", DEFLATE) as peer:
        peer.send(frame(TEXT, pieces[0], rsv=4, fin=False))
        peer.send(b"".join(frame(CONTINUATION, piece, fin=False) for piece in pieces[1:]))
        peer.expect_close(1009)
    report(f"P4 {fresh.kind} in fragments", growth=memory.text)
    assert memory.growth <= 2 * LIMIT


def test_p04_bomb_as_large_as_a_frame_may_be(fresh: Server) -> None:
    """Compressed it fills the limit itself, and inflated once more; the heap is not quite empty before."""
    wire = frame(BINARY, make_bomb(980 * KiB), rsv=4, key=NO_KEY)
    assert 900 * KiB < len(wire) < LIMIT
    with Memory(fresh) as memory, upgrade(fresh, "/deflate", DEFLATE) as peer:
        peer.send(wire)
        peer.expect_close(1009)
    report(f"P4 {fresh.kind} 1 GiB", growth=memory.text)
    assert memory.growth <= 3 * LIMIT


# --- at most 8 MiB -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/deflate", "/deflate-sink", "/deflate-function"])
def test_p04_many_small_bombs_in_one_read_are_not_inflated_at_once(fresh: Server, path: str) -> None:
    small = frame(BINARY, deflate(ZEROS[: LIMIT // 2]), rsv=4, key=NO_KEY)
    assert len(small) < 600
    with Memory(fresh) as memory, upgrade(fresh, path, DEFLATE, receive_buffer=4096) as peer:
        peer.send(small * 400)
        peer.flood(small * 400, seconds=0.5)
    report(f"P4 {fresh.kind} {path} small bombs", growth=memory.text)
    assert memory.growth <= 8 * MiB


def test_p04_limit_of_inflated_messages_is_inclusive(fresh: Server) -> None:
    with upgrade(fresh, "/deflate-size", DEFLATE) as peer:
        peer.send(frame(BINARY, deflate(ZEROS), rsv=4))
        assert peer.read_frame().payload == b"%d" % LIMIT
    with upgrade(fresh, "/deflate-size", DEFLATE) as peer:
        peer.send(frame(BINARY, deflate(ZEROS + b"0"), rsv=4))
        peer.expect_close(1009)


def test_p02_oversize_message_is_refused_from_the_header_of_the_last_fragment(fresh: Server) -> None:
    with upgrade(fresh) as peer:
        peer.send(frame(BINARY, ZEROS[: LIMIT // 2], fin=False, key=NO_KEY))
        peer.send(frame(CONTINUATION, length=LIMIT // 2 + 1))
        peer.expect_close(1009)
    with upgrade(fresh, "/size") as peer:  # the limit itself is inclusive
        peer.send(frame(BINARY, ZEROS[: LIMIT // 2], fin=False, key=NO_KEY))
        peer.send(frame(CONTINUATION, ZEROS[: LIMIT // 2], key=NO_KEY))
        assert peer.read_frame().payload == b"%d" % LIMIT
        peer.send(frame(BINARY, ZEROS, key=NO_KEY))
        assert peer.read_frame().payload == b"%d" % LIMIT


def send_and_never_read(server: Server, path: str, size: int) -> tuple[int, int]:
    """Return what the server grows by, and how much of 64 MiB it takes."""
    chunk = frame(BINARY, ZEROS[:size], key=NO_KEY) * (MiB // size)
    with Memory(server) as memory, upgrade(server, path, receive_buffer=4096) as peer:
        sent = peer.flood(chunk, seconds=0.4, limit=64 * MiB)
    report(f"P1 {server.kind} {path} {size}", growth=memory.text, sent=sent)
    return memory.growth, sent


@pytest.mark.parametrize("path", ["/echo", "/function", "/sink"])
@pytest.mark.parametrize("size", [KiB, 1000 * KiB, LIMIT])
def test_p01_client_that_sends_and_never_reads_costs_its_share(fresh: Server, path: str, size: int) -> None:
    """Messages of all sizes, none of whose echoes is read."""
    growth, sent = send_and_never_read(fresh, path, size)
    assert growth <= 8 * MiB
    if path != "/sink":
        assert sent < 32 * MiB, "nobody reads the answers, and the server goes on taking messages"


def test_p01_client_whose_message_never_ends_costs_its_share(fresh: Server) -> None:
    with Memory(fresh) as memory, upgrade(fresh) as peer:
        peer.send(frame(BINARY, ZEROS[: LIMIT - KiB], fin=False, key=NO_KEY))
        peer.send(frame(CONTINUATION, ZEROS[:1000], length=KiB, key=NO_KEY))
        peer.send(b"")
        time.sleep(0.1)  # for the kernel's mark: there is nothing to wait for
    report(f"P1 {fresh.kind} endless", growth=memory.text)
    assert memory.growth <= 8 * MiB


@pytest.mark.parametrize("path", ["/echo", "/function"])
def test_p01_client_costs_its_share_with_all_that_the_allocator_keeps(
    kind: str, start_fresh: StartFresh, path: str
) -> None:
    """One client and its server, as they come: glibc may keep something for each thread, and for as long."""
    with start_fresh() as server:
        for size in (1000 * KiB, LIMIT):
            growth, _ = send_and_never_read(server, path, size)
            assert growth <= 8 * MiB
