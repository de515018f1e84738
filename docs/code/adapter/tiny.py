"""
Tiny 1.0, a web server: one request a connection, each in a thread of its own.

It is the server of the example in "Adding a server", and as small as a server can be that has all
that an adapter has to deal with: a socket, and bytes that were read behind the request.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import SimpleNamespace
from typing import Any


class TinyServer:
    """Serve an application on a free port, until :meth:`stop`."""

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
        environ = self.make_environ(head.decode())
        # What an adapter works with: the socket, and what was read behind the request.
        environ["tiny.connection"] = SimpleNamespace(
            sock=sock, buffer=bytearray(rest), has_http2=self.has_http2
        )
        started: list[Any] = []
        body = b"".join(self.app(environ, lambda *arguments: started.append(arguments)))
        # The head, the body, the end. After a hand-over that goes to the dummy.
        status, headers = started[-1]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        sock.sendall(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    def make_environ(self, head: str) -> dict[str, Any]:
        line, *fields = head.split("\r\n")
        method, path, protocol = line.split()
        pairs = (field.split(": ", 1) for field in fields)
        environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in pairs}
        return environ | {"REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_PROTOCOL": protocol}

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)
