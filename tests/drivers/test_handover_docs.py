"""docs/topics/handover.md: its adapter, on the server that it is written for."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.entrances.in_process import site
from tests.entrances.wire import build
from tests.promises.attacker import Peer
from tests.promises.wire import TEXT, frame
from tests.servers import ROOT
from ws4py_middleware import EchoWebSocket, WebSocketMiddleware
from ws4py_middleware.handover import servers


class TinyServer:
    """Tiny 1.0: one request a connection, each in a thread of its own."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.has_http2 = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.threads = [threading.Thread(target=self.serve)]
        self.threads[0].start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                thread = threading.Thread(target=self.answer, args=(self.listener.accept()[0],))
                self.threads.append(thread)
                thread.start()

    def answer(self, sock: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        head, _, rest = data.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        method, path, protocol = line.split()
        pairs = (field.split(": ", 1) for field in fields)
        environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in pairs}
        environ |= {"REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_PROTOCOL": protocol}
        connection = SimpleNamespace(sock=sock, buffer=bytearray(rest), has_http2=self.has_http2)
        environ["tiny.connection"] = connection
        started: list[Any] = []
        body = b"".join(self.app(environ, lambda *arguments: started.append(arguments)))
        headers = "".join(f"{name}: {value}\r\n" for name, value in started[-1][1])
        sock.sendall(f"HTTP/1.1 {started[-1][0]}\r\n{headers}\r\n".encode() + body)
        assert started[-1][0].startswith("501") or not connection.buffer
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyServer]:
    monkeypatch.setattr(servers, "_adapters", list(servers._adapters))
    page = (ROOT / "docs" / "topics" / "handover.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code is not None
    exec(compile(code[1], "docs/topics/handover.md", "exec"), {"__name__": "tiny"})
    server = TinyServer(WebSocketMiddleware(site, {"/echo": EchoWebSocket}))
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    for thread in server.threads:
        thread.join(5)
        assert not thread.is_alive()


def connect(server: TinyServer, behind: bytes = b"") -> Peer:
    peer = Peer(socket.create_connection(server.listener.getsockname(), timeout=5))
    peer.send(build("/echo") + behind)
    return peer


def test_adapter_of_the_page_hands_connections_over(tiny: TinyServer) -> None:
    with connect(tiny, frame(TEXT, b"early")) as peer:
        assert peer.read_head() == 101
        assert peer.read_frame().payload == b"early"
        peer.echo(b"late")


def test_adapter_of_the_page_refuses_in_its_own_words(tiny: TinyServer) -> None:
    tiny.has_http2 = True
    with connect(tiny) as peer:
        assert peer.read_head() == 501
        assert b"Tiny does not give up its connection: it speaks HTTP/2" in peer.read_to_end()
