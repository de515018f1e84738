"""What holds for each of the package's own servers, plain and over TLS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.entrances.wire import ACCEPT, ask, build, read_head
from tests.matrix.columns import COLUMNS, GOOD, end_of
from tests.matrix.columns import connect as connect_raw
from tests.promises.wire import close_frame
from tests.servers import TABLE, Server, start

#: The request, the status, and what the answer says of it.
BAD: dict[str, tuple[dict[str, str | None], int, bytes]] = {
    "no-key": ({"Sec-WebSocket-Key": None}, 400, b"Sec-WebSocket-Key"),
    "short-key": ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400, b"16 bytes"),
    "version": ({"Sec-WebSocket-Version": "8"}, 426, b"version 13"),
    "no-version": ({"Sec-WebSocket-Version": None}, 426, b"it is 13"),
    "no-connection": ({"Connection": "keep-alive"}, 400, b"Connection: Upgrade"),
    "another-protocol": ({"Upgrade": "h2c"}, 426, b"Upgrade: websocket"),
    "plain-get": ({"Upgrade": None, "Connection": None}, 426, b"Upgrade: websocket"),
    "origin": ({"Origin": "https://evil.example"}, 403, b"may not connect"),
    "body": ({"Content-Length": "5"}, 400, b"without a body"),
}


class OwnServerContract:
    """The fixture ``server`` is the test module's."""

    @pytest.mark.parametrize("column", [name for name in COLUMNS if name not in ("stop", "quiet")])
    def test_column_of_the_matrix_is_good(self, server: Server, column: str) -> None:
        held = "200" if TABLE[server.kind].threaded else "50"
        assert COLUMNS[column](server) == {**GOOD, "held": held, "log": "101"}[column], server.log[-3000:]

    def test_head_is_a_101_of_http_1_1_and_no_more_than_that(self, server: Server) -> None:
        with contextlib.closing(server.connect()) as sock:
            sock.sendall(build("/echo"))
            head = sock.recv(65536)
            while b"\r\n\r\n" not in head:
                head += sock.recv(65536)
            assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        with contextlib.closing(server.connect()) as sock:
            sock.sendall(build("/echo"))
            answer = read_head(sock)
        assert answer.get("Sec-WebSocket-Accept") == ACCEPT
        assert (answer.get("Upgrade"), answer.get("Connection")) == ("websocket", "Upgrade")
        assert answer.get("Content-Length") is None
        assert answer.get("Transfer-Encoding") is None

    @pytest.mark.parametrize("case", BAD)
    def test_bad_handshake_is_refused_and_the_connection_ended(self, server: Server, case: str) -> None:
        changes, status, reason = BAD[case]
        body = b"x" * int(changes.get("Content-Length") or 0)
        answer = ask(server.connect(timeout=5), build("/echo", changes) + body)
        assert answer.status == status
        assert reason in answer.rest

    def test_handler_is_made_by_make_websocket_with_what_was_agreed_on(self, server: Server) -> None:
        with connect(
            f"{server.ws_url}/chat",
            subprotocols=[Subprotocol(name) for name in ("chat.v1", "other", "chat.v2")],
            ssl=server.client_context,
            proxy=None,
        ) as client:
            assert client.subprotocol == "chat.v2"
            assert client.recv(timeout=5) == "chat.v2 1 ['wsgi.input'] 4096"
            client.send("x" * 1000)
            assert client.recv(timeout=5) == "x" * 1000

    @pytest.mark.parametrize("path", ["/function", "/lazy", "/middleware"])
    def test_functions_generators_and_the_middleware_are_websockets_too(
        self, server: Server, path: str
    ) -> None:
        with connect_raw(server, path) as peer:
            peer.echo()
            peer.send(close_frame(1000))
            peer.expect_close(1000)
            assert end_of(peer) == ""

    def test_constructor_that_raises_is_a_500(self, server: Server) -> None:
        answer = ask(server.connect(timeout=5), build("/broken"))
        assert answer.status == 500

    def test_one_too_many_is_refused_with_503(self, server: Server) -> None:
        with connect_raw(server, "/full") as peer:
            peer.echo()
            with pytest.raises(InvalidStatus) as refused:
                connect(f"{server.ws_url}/full", ssl=server.client_context, proxy=None)
            assert refused.value.response.status_code == 503
            peer.send(close_frame(1000))
            peer.expect_close(1000)


@contextlib.contextmanager
def run(kind: str, tls: bool) -> Iterator[Server]:
    with start(kind, "tests.entrances.own_app:app", tls=tls) as server:
        yield server
