"""websockets on threads: three for each connection."""

from __future__ import annotations

import http
import socket
import sys

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from benchmarks.apps.common import MAX_SIZE, answer_json, spin_when_asked

members: set[ServerConnection] = set()


def handle(ws: ServerConnection) -> None:
    """Echo, broadcast or rewrite, by the path."""
    assert ws.request is not None
    try:
        if ws.request.path != "/broadcast":
            for message in ws:
                ws.send(message if ws.request.path == "/echo" else answer_json(message))
            return
        members.add(ws)
        for message in ws:
            for member in list(members):
                member.send(message)
    except ConnectionClosed:
        return
    finally:
        members.discard(ws)


def answer_http(ws: ServerConnection, request: Request) -> Response | None:
    """Answer plain HTTP beside the WebSockets."""
    return ws.respond(http.HTTPStatus.OK, "hello\n") if request.path == "/" else None


def main(port: int) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended."""
    sock = socket.create_server(("127.0.0.1", port), backlog=4096)
    with serve(handle, sock=sock, process_request=answer_http, max_size=MAX_SIZE) as server:
        server.serve_forever()


if __name__ == "__main__":
    spin_when_asked()
    main(int(sys.argv[1]))
