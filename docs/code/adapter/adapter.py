from __future__ import annotations

from typing import Any

from ws4py_middleware.handover import Adapter, Located, register


class Tiny(Adapter):
    name = "Tiny"
    not_there = "it keeps its connections elsewhere than Tiny 1.0; install that release"

    def match(self, environ: dict[str, Any], start_response: Any) -> bool:
        return "tiny.connection" in environ

    def locate(self, environ: dict[str, Any], start_response: Any) -> Located:
        # Nothing is changed here. An AttributeError or a KeyError is a 501
        # that says what not_there says.
        connection = environ["tiny.connection"]
        buffer = connection.buffer
        if connection.has_http2:
            raise self.refusal("it speaks HTTP/2 on this connection")

        def read_early() -> bytes:
            # Called when the socket was taken. The server must not find
            # these bytes and parse them as its next request.
            early = bytes(buffer)
            buffer.clear()
            return early

        return Located(connection.sock, read_early)


register(Tiny())
