"""P9 and P10: every rule on frames, on the wire: the right close code, then TCP closed by the server."""

from __future__ import annotations

import time
import zlib
from random import Random

import pytest

from tests.promises.attacker import DEFLATE, best, report, upgrade, wait_idle
from tests.promises.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, deflate, frame
from tests.servers import Server

UNICODE = "κόσμε — 𝄞 — €".encode()

#: What is sent, and the code that RFC 6455 section 7.4.1 has for it.
REFUSED: dict[str, tuple[bytes, int]] = {
    "unmasked text": (frame(TEXT, b"x", masked=False), 1002),
    "unmasked empty text": (frame(TEXT, masked=False), 1002),
    "unmasked ping": (frame(PING, masked=False), 1002),
    "unmasked close": (frame(CLOSE, masked=False), 1002),
    **{f"rsv {rsv}": (frame(TEXT, b"x", rsv=rsv), 1002) for rsv in range(1, 8)},
    "rsv 4 on a ping": (frame(PING, rsv=4), 1002),
    **{f"opcode {opcode:#x}": (frame(opcode, b"x"), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "ping of 126": (frame(PING, b"x" * 126), 1002),
    "close of 126": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002),
    "fragmented ping": (frame(PING, fin=False), 1002),
    "fragmented close": (frame(CLOSE, fin=False), 1002),
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "continuation after a message": (frame(TEXT, b"", fin=True) + frame(CONTINUATION, b"x"), 1002),
    "text within text": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "binary after an empty first fragment": (frame(TEXT, b"", fin=False) + frame(BINARY, b"b"), 1002),
    "125 in 16 bits": (frame(TEXT, b"x" * 125, form=16), 1002),
    "125 in 64 bits": (frame(TEXT, b"x" * 125, form=64), 1002),
    "65535 in 64 bits": (frame(BINARY, bytes(65535), form=64), 1002),
    "the highest bit of a length": (frame(BINARY, form=64, length=2**63), 1002),
    "the largest length": (frame(BINARY, form=64, length=2**64 - 1), 1002),
    "a large frame": (frame(BINARY, length=2**20 + 1), 1009),
    "bytes that are no text": (frame(TEXT, b"\xff"), 1007),
    "overlong text": (frame(TEXT, b"\xc0\xaf"), 1007),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "beyond unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "half a character": (frame(TEXT, UNICODE[:-1]), 1007),
    "half a character in fragments": (frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82"), 1007),
    "wrong text early in a frame": (frame(TEXT, b"\xff" + b"x" * 10, length=60_000), 1007),
    "wrong text in a first fragment": (frame(TEXT, b"\xff", fin=False), 1007),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "close with bytes that are no text": (close_frame(1000, b"\xff"), 1007),
    **{
        f"close with {code}": (close_frame(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_p09_broken_rule_has_its_code_and_the_server_closes(server: Server, case: str) -> None:
    data, code = REFUSED[case]

    def measure() -> float:
        with upgrade(server) as peer:
            began = time.perf_counter()
            peer.send(data)
            peer.expect_close(code)
            assert peer.read_to_end() == b"", "nothing follows a Close frame"
            return time.perf_counter() - began

    elapsed = best(measure, 1)
    assert elapsed <= 1


@pytest.mark.parametrize("code", [None, 1000, 1001, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4000, 4999])
def test_p09_close_is_answered_alike_at_once(server: Server, code: int | None) -> None:
    def measure() -> float:
        with upgrade(server) as peer:
            began = time.perf_counter()
            peer.send(close_frame(code, b"" if code is None else "bye €".encode()))
            answer = peer.read_frame()
            elapsed = time.perf_counter() - began
            assert answer.opcode == CLOSE
            assert answer.code == (1005 if code is None else code)
            assert peer.read_to_end() == b""
            return elapsed

    elapsed = best(measure, 0.05)
    report(f"P9 {server.kind} close {code}", answered=f"{elapsed * 1e3:.1f} ms")
    assert elapsed <= 0.05


def test_p09_server_ends_tcp_for_a_peer_that_does_not(server: Server) -> None:
    """Within a second, whether the peer has read, answers, or goes on sending."""
    peers = [upgrade(server) for _ in range(3)]
    try:
        for peer in peers:
            peer.send(close_frame(1000))
        wait_idle(server)
        for peer in peers:
            assert peer.read_frame().code == 1000
            assert peer.read_to_end() == b""
    finally:
        for peer in peers:
            peer.sock.close()


def test_p09_nothing_is_taken_after_a_close(server: Server) -> None:
    with upgrade(server) as peer:
        peer.send(frame(TEXT, b"1") + close_frame(1000) + frame(TEXT, b"2") + frame(0xF))
        assert peer.read_frame().payload == b"1"
        assert peer.read_frame().code == 1000
        assert peer.read_to_end() == b""


def test_p09_what_came_before_a_broken_rule_is_answered(server: Server) -> None:
    with upgrade(server) as peer:
        peer.send(frame(TEXT, b"1") + frame(PING, b"2") + frame(0xF))
        assert peer.read_frame().payload == b"1"
        assert peer.read_frame()[:2] == (PONG, b"2")
        assert peer.expect_close(1002)


@pytest.mark.parametrize("path", ["/echo", "/function"])
def test_p09_legal_frames_of_all_kinds_are_echoed(server: Server, path: str) -> None:
    with upgrade(server, path) as peer:
        for size in (0, 1, 125, 126, 127, 65535, 65536, 100_000):
            data = bytes(range(256)) * (size // 256 + 1)
            peer.send(frame(BINARY, data[:size]))
            assert peer.read_frame()[:2] == (BINARY, data[:size])
        for payload in (b"", b"x" * 125):
            peer.send(frame(PING, payload))
            assert peer.read_frame()[:2] == (PONG, payload)
        peer.send(frame(PONG, b"nobody asked"))
        peer.send(frame(TEXT, b"", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"", fin=False))
        peer.send(frame(CONTINUATION, UNICODE))
        assert peer.read_frame()[:2] == (PONG, b"p")
        assert peer.read_frame()[:2] == (TEXT, UNICODE)


# --- P10: permessage-deflate ------------------------------------------------------------------------------


def inflate(payload: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")


def final(data: bytes) -> bytes:
    """Compress into a block with BFINAL=1, RFC 7692 section 7.2.3.4."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    return compressor.compress(data) + compressor.flush(zlib.Z_FINISH) + b"\0"


@pytest.mark.parametrize("path", ["/deflate", "/deflate-function"])
def test_p10_odd_but_legal_compressed_messages_decode_exactly(server: Server, path: str) -> None:
    text = UNICODE * 100
    packed = deflate(text)
    half = len(packed) // 2
    with upgrade(server, path, DEFLATE) as peer:
        assert b"permessage-deflate" in peer.head

        def expect(data: bytes) -> None:
            found = peer.read_frame()
            payload = inflate(found.payload) if found.first & 0x40 else found.payload
            assert (found.opcode, payload) == (TEXT, data)

        # None of them refers to an earlier one.
        small = b"small"
        for wire, expected in [
            (frame(TEXT, deflate(small), rsv=4), small),
            (frame(TEXT, final(small), rsv=4), small),
            (frame(TEXT, deflate(small), rsv=4), small),
            (frame(TEXT, small), small),
            (frame(TEXT, final(small)[:-1] + deflate(b", and more"), rsv=4), small + b", and more"),
            (frame(TEXT, b"\0", rsv=4), b""),
            (frame(TEXT, b"", fin=False, rsv=4) + frame(CONTINUATION, deflate(small)), small),
            (frame(TEXT, deflate(small), fin=False, rsv=4) + frame(CONTINUATION), small),
        ]:
            peer.send(wire)
            expect(expected)
        peer.send(frame(TEXT, packed[:half], fin=False, rsv=4) + frame(PING, b"between"))
        assert peer.read_frame()[:2] == (PONG, b"between")
        peer.send(frame(CONTINUATION, packed[half:]))
        found = peer.read_frame()
        assert found.opcode == TEXT
    # Any split, in the middle of code points and of deflate's symbols; each on fresh contexts.
    fresh = {"Sec-WebSocket-Extensions": "permessage-deflate; server_no_context_takeover"}
    with upgrade(server, path, fresh) as peer:
        for cut in range(0, len(packed), max(1, len(packed) // 20)):
            peer.send(frame(TEXT, packed[:cut], fin=False, rsv=4) + frame(PING))
            assert peer.read_frame().opcode == PONG
            peer.send(frame(CONTINUATION, packed[cut:]))
            found = peer.read_frame()
            assert inflate(found.payload) == text


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame(TEXT, b"\xff\xff\xff\xff", rsv=4), 1007),
        (frame(TEXT, deflate(b"\xff"), rsv=4), 1007),
        (frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", rsv=4), 1002),
        (frame(PING, b"x", rsv=4), 1002),
        (frame(TEXT, b"x", rsv=2), 1002),
    ],
)
def test_p09_broken_rules_of_compression(server: Server, wire: bytes, code: int) -> None:
    with upgrade(server, "/deflate", DEFLATE) as peer:
        peer.send(wire)
        peer.expect_close(code)
        assert peer.read_to_end() == b""


def test_p26_garbage_never_meets_another_error(server: Server) -> None:
    """Whatever comes, the connection is failed for what the peer did; the server says nothing of itself."""
    random = Random(6455)
    codes: dict[int, int] = {}
    for _ in range(60):
        with upgrade(server, "/deflate", DEFLATE) as peer:
            for _ in range(20):
                opcode = random.choice([TEXT, BINARY, CONTINUATION, PING, PONG, random.randrange(16)])
                data = bytearray(
                    frame(opcode, random.randbytes(random.randrange(300)), rsv=random.choice([0, 0, 0, 4]))
                )
                if random.random() < 0.3:
                    data[random.randrange(len(data))] = random.randrange(256)
                peer.send(bytes(data))
                if random.random() < 0.2:
                    break
            peer.send(frame(PING) + close_frame(1000) + bytes(200_000))
            while True:
                try:
                    found = peer.read_frame()
                except EOFError:
                    break
                if found.opcode == CLOSE:
                    codes[found.code] = codes.get(found.code, 0) + 1
                    break
    report(f"P26 {server.kind}", codes=codes)
    assert set(codes) <= {1000, 1002, 1007, 1009}
    assert sum(codes.values()) >= 50, "nearly all hear why"
