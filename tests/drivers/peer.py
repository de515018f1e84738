"""
The other end: a client made of a socket and the frames of ``tests.core.wire``, and nothing of the package.

It does nothing by itself: no pong, no Close frame, no reading. What a test does not ask for does not happen.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.core.wire import BINARY, CLOSE, PING, PONG, TEXT, build_close, build_head
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.handover import from_socket
from ws4py_middleware.messaging import Message
from ws4py_middleware.registry import Registry
from ws4py_middleware.websocket import WebSocket

KEY = b"\x11\x22\x33\x44"
#: Longer than anything takes; a test that waits so long has failed.
BOUND = 10.0


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool


def build(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Build a client's frame, quickly also when it is large."""
    size = len(payload)
    mask = int.from_bytes((KEY * (size // 4 + 1))[:size], "big")
    masked = (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")
    return build_head(opcode, size, fin=fin, key=KEY) + masked


class Peer:
    """A client whose opening handshake is done. Works with any blocking socket, gevent's too."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        sock.settimeout(BOUND)
        self._buffer = bytearray()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    # --- what it says ---

    def send_bytes(self, wire: bytes) -> None:
        self.sock.sendall(wire)

    def send(self, message: str | bytes, *, fin: bool = True) -> None:
        if isinstance(message, str):
            self.send_bytes(build(TEXT, message.encode(), fin=fin))
        else:
            self.send_bytes(build(BINARY, message, fin=fin))

    def ping(self, payload: bytes = b"") -> None:
        self.send_bytes(build(PING, payload))

    def pong(self, payload: bytes = b"") -> None:
        self.send_bytes(build(PONG, payload))

    def close(self, code: int = 1000, reason: bytes = b"") -> None:
        self.send_bytes(build_close(code, reason, key=KEY))

    def reset(self) -> None:
        """Drop the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # --- what it hears ---

    def read_frame(self) -> Frame:
        """Read one frame; :exc:`EOFError` when there comes none."""
        head = self._take(2)
        size = head[1]
        assert not size & 0x80, "a server does not mask its frames"
        assert not head[0] & 0x70, "reserved bits"
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return Frame(head[0] & 0x0F, self._take(size), bool(head[0] & 0x80))

    def frames(self) -> Iterator[Frame]:
        """Read frames until the end."""
        while True:
            try:
                yield self.read_frame()
            except EOFError:
                return

    def read(self) -> str | bytes:
        """Read one message, of whatever number of frames; control frames must not come."""
        frame = self.read_frame()
        opcode, payload = frame.opcode, frame.payload
        assert opcode in (TEXT, BINARY), f"{opcode:#x} {payload!r}"
        while not frame.fin:
            frame = self.read_frame()
            assert frame.opcode == 0, f"{frame.opcode:#x} within a fragmented message"
            payload += frame.payload
        return payload.decode() if opcode == TEXT else payload

    def read_close(self) -> tuple[int | None, str]:
        """Read a Close frame: its code and reason."""
        frame = self.read_frame()
        assert frame.opcode == CLOSE, f"{frame.opcode:#x} {frame.payload[:100]!r}"
        if not frame.payload:
            return None, ""
        return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()

    def read_end(self) -> None:
        """Check that nothing more comes but the end."""
        try:
            data = bytes(self._buffer) or self.sock.recv(100)
        except ConnectionResetError:
            return
        assert data == b"", data

    def finish(self, code: int = 1000) -> tuple[int | None, str]:
        """Make the closing handshake, and return the answer."""
        self.close(code)
        answer = self.read_close()
        self.read_end()
        self.sock.close()
        return answer

    def answer(self) -> tuple[int | None, str]:
        """Wait for the server's Close frame and answer it; return what it said."""
        said = self.read_close()
        self.close(said[0] or 1000)
        self.read_end()
        self.sock.close()
        return said

    def _take(self, size: int) -> bytes:
        buffer = self._buffer
        while len(buffer) < size:
            data = self.sock.recv(max(65536, size - len(buffer)))
            if not data:
                raise EOFError(bytes(buffer))
            buffer += data
        taken = bytes(buffer[:size])
        del buffer[:size]
        return taken


class Recorder(WebSocket):
    """Note what happens, and that no two hooks overlap."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[tuple[Any, ...]] = []
        self._inside = False

    @contextlib.contextmanager
    def hook(self, *what: Any) -> Iterator[None]:
        assert not self._inside, f"{what} while {self.seen[-1]}"
        self._inside = True
        self.seen.append(what)
        try:
            yield
        finally:
            self._inside = False

    def opened(self) -> None:
        with self.hook("opened"):
            self.on_opened()

    def received_message(self, message: Message) -> None:
        with self.hook("message", str(message) if message.is_text else message.data):
            self.on_message(message)

    def ponged(self, pong: Message) -> None:
        with self.hook("ponged", pong.data):
            self.on_ponged(pong)

    def closed(self, code: int, reason: str | None = None) -> None:
        with self.hook("closed", code, reason):
            self.on_closed(code)

    def unhandled_error(self, error: BaseException) -> None:
        with self.hook("error", error):
            pass

    def on_opened(self) -> None: ...
    def on_message(self, message: Message) -> None: ...
    def on_ponged(self, pong: Message) -> None: ...
    def on_closed(self, code: int) -> None: ...

    @property
    def messages(self) -> list[str | bytes]:
        return [event[1] for event in self.seen if event[0] == "message"]

    @property
    def ends(self) -> list[tuple[int, str]]:
        return [event[1:] for event in self.seen if event[0] == "closed"]

    def wait_closed(self) -> tuple[int, str]:
        """Wait for the end, which comes once, and last; return its code and reason."""
        wait_until(lambda: bool(self.ends))
        wait_until(lambda: not self._inside)
        assert self.seen[-1][0] == "closed"
        assert len(self.ends) == 1
        assert [event[0] for event in self.seen].count("opened") == 1
        assert self.seen[0] == ("opened",)
        return self.ends[0]


class EchoRecorder(Recorder):
    """Say what was said, and note it."""

    def on_message(self, message: Message) -> None:
        self.send(message.data, message.is_binary)


def wait_until(
    condition: Callable[[], object], bound: float = BOUND, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        sleep(0.001)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a TCP connection: the client's, the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def small_pair() -> tuple[socket.socket, socket.socket]:
    """Return a pair between which little fits, so that a peer that does not read is felt soon."""
    client, server = socket.socketpair()
    for sock in (client, server):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return client, server


def connect(
    manager: Registry,
    websocket: WebSocket,
    *,
    pair: Callable[[], tuple[Any, Any]] = tcp_pair,
    early: bytes = b"",
    **policy: Any,
) -> Peer:
    """Let a manager have one end, and return the other."""
    client, server = pair()
    chosen = websocket.policy.replace(**policy) if policy else None
    manager.attach(websocket, from_socket(server), policy=chosen, early=early)
    return Peer(client)


#: Nothing happens by itself.
QUIET = Policy(ping_interval=None)
