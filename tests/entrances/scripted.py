"""A server that does what a test tells it to, byte by byte, and nothing of the package."""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import os
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.core.wire import CLOSE, TEXT, build_frame
from ws4py_middleware.client import WebSocketBaseClient

#: Longer than anything takes; a test that waits so long has failed.
BOUND = 10.0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Visit:
    """One connection, as the server sees it."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        sock.settimeout(BOUND)
        self.request = b""
        self._buffer = b""

    def read_request(self) -> bytes:
        """Read the head of the request."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self.receive()
        self.request, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return self.request

    def header(self, name: str) -> list[str]:
        """Return each value of a header of the request."""
        pattern = rf"(?im)^{name}: (.*?)\r?$".encode()
        return [value.decode("latin-1") for value in re.findall(pattern, self.request)]

    def build_101(self, *lines: str, accept: str | None = None) -> bytes:
        """Build the answer that the request asks for, with more lines."""
        if accept is None:
            digest = hashlib.sha1(self.header("Sec-WebSocket-Key")[0].encode() + _GUID).digest()
            accept = base64.b64encode(digest).decode()
        head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        return "\r\n".join([*head, f"Sec-WebSocket-Accept: {accept}", *lines, "", ""]).encode("latin-1")

    def accept(self, behind: bytes = b"", *lines: str) -> None:
        """Read the request, and open the WebSocket; ``behind`` leaves in the same segment."""
        self.read_request()
        self.send(self.build_101(*lines) + behind)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read_frame(self) -> tuple[int, bytes]:
        """Read one frame of the client's: opcode and payload; EOFError at the end."""
        first, second = self._take(2)
        assert second & 0x80, "a client masks its frames"
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        key = self._take(4)
        payload = int.from_bytes(self._take(size), "big") ^ int.from_bytes(
            (key * (size // 4 + 1))[:size], "big"
        )
        return first & 0x0F, payload.to_bytes(size, "big")

    def answer_close(self) -> bytes:
        """Read until the Close frame, answer it, and return what it says."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == CLOSE:
                self.send(build_frame(CLOSE, payload))
                return payload

    def echo(self) -> None:
        """Say what is said, until the end."""
        while True:
            opcode, payload = self.read_frame()
            self.send(build_frame(opcode, payload))
            if opcode == CLOSE:
                return

    def wait_end(self) -> None:
        """Read until the client goes away."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while self.sock.recv(65536):
                pass

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += self.receive()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def receive(self) -> bytes:
        """Read what there is; EOFError at the end."""
        data: bytes = self.sock.recv(65536)
        if not data:
            raise EOFError
        return data


def reset(visit: Visit) -> None:
    """Let the connection end with RST in place of FIN."""
    visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Scripted:
    """Accept connections, one after the other or in a thread each, and let a script have each."""

    def __init__(
        self,
        script: Callable[[Visit], object],
        *,
        tls: ssl.SSLContext | None = None,
        path: str | None = None,
        parallel: bool = False,
        port: int = 0,
    ) -> None:
        self.script = script
        self.tls = tls
        self.parallel = parallel
        self.errors: list[BaseException] = []
        self.visits: list[Visit] = []
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
            self.port: int = self.listener.getsockname()[1]
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}" if self.tls is None else f"wss://localhost:{self.port}"

    def _run(self) -> None:
        threads = []
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                break
            if self.parallel:
                threads.append(threading.Thread(target=self._serve, args=(sock,), daemon=True))
                threads[-1].start()
            else:
                self._serve(sock)
        for thread in threads:
            thread.join(BOUND)

    def _serve(self, sock: Any) -> None:
        with contextlib.closing(sock):
            try:
                if self.tls is not None:
                    sock.settimeout(BOUND)
                    sock = self.tls.wrap_socket(sock, server_side=True)
                with contextlib.closing(sock):
                    visit = Visit(sock)
                    self.visits.append(visit)
                    self.script(visit)
            except (EOFError, OSError):
                pass  # the client went away, as some are told to
            except BaseException as error:
                self.errors.append(error)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(BOUND)
        assert not self.thread.is_alive()
        if self.errors:
            raise self.errors[0]


@contextlib.contextmanager
def scripted(
    script: Callable[[Visit], object],
    *,
    tls: ssl.SSLContext | None = None,
    path: str | None = None,
    parallel: bool = False,
) -> Iterator[Scripted]:
    """Run a script for each connection; ``parallel`` lets them run at the same time."""
    server = Scripted(script, tls=tls, path=path, parallel=parallel)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def no_leaks() -> Iterator[None]:
    """Check that as many descriptors are open afterwards as before; a thread that is about to end may end."""
    gc.collect()  # what other tests have left
    before = len(os.listdir("/proc/self/fd"))
    yield
    deadline = time.monotonic() + 2
    while (now := len(os.listdir("/proc/self/fd"))) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert now <= before  # less, when what was before had not all gone yet


def text(message: str) -> bytes:
    return build_frame(TEXT, message.encode())


def hello(visit: Visit) -> None:
    """Say hello, and let the client end it."""
    visit.accept(text("hello"))
    visit.answer_close()


def get_hello(url: str, **options: Any) -> None:
    """Connect to one that says hello, and hear it."""
    with WebSocketBaseClient(url, **options) as client:
        assert str(client.receive(5)) == "hello"
