"""Limits and admission on real servers, one of each kind of entrance: what a client sees."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.servers import Server, start, wait_for

SERVERS = {
    "gunicorn-gthread": "wsgi",
    "gunicorn-gevent": "wsgi",
    "uvicorn-websockets": "asgi",
    "hypercorn": "asgi",
    "cherrypy": "cherry",
    "cherrypy-native": "cherry",
    "ws4py-wsgiref": "own",
    "ws4py-gevent": "own",
}

#: Servers that take ``X_Forwarded_For`` for the header that a proxy writes; docs/topics/security.md says so.
MIXES_UP = {"cherrypy"}

#: Addresses of nobody, each used by one test only: :rfc:`5737#section-3`.
ADDRESSES = (f"203.0.113.{number}" for number in itertools.count(1))


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    app = f"tests.entrances.limited_app:{SERVERS[request.param]}"
    # uvicorn believes by itself what clients of this machine say they are.
    options = ["--no-proxy-headers"] if request.param.startswith("uvicorn") else []
    with start(request.param, app, options=options) as running:
        yield running
        assert "Traceback" not in running.log


def open_ws(server: Server, path: str, forwarded: str | None = None) -> ClientConnection:
    headers = None if forwarded is None else {"X-Forwarded-For": forwarded}
    client: ClientConnection = connect(
        server.ws_url + path, compression=None, proxy=None, additional_headers=headers
    )
    return client


def check_refused(server: Server, path: str, forwarded: str | None = None) -> None:
    """Check that a client is told to come back later, and why."""
    with pytest.raises(InvalidStatus) as info, open_ws(server, path, forwarded):
        pass
    response = info.value.response
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) >= 1
    assert b"try again later" in (response.body or b"")


def can_open(server: Server, path: str, forwarded: str | None = None) -> bool:
    try:
        with open_ws(server, path, forwarded):
            pass
    except InvalidStatus:
        return False
    return True


def read_end(client: ClientConnection) -> tuple[list[str | bytes], int | None]:
    """Read to the end; return the messages and the close code."""
    messages = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(client.recv(timeout=10))
    return messages, client.close_code


def test_address_has_so_many_connections_and_gets_them_back(server: Server) -> None:
    address, other = next(ADDRESSES), next(ADDRESSES)
    with open_ws(server, "/address", address), open_ws(server, "/address", f"6.6.6.6, {address}"):
        check_refused(server, "/address", f"6.6.6.7, {address}")
        with open_ws(server, "/address", f"{address}, {other}") as client:
            client.send("hello")
            assert client.recv(timeout=10) == "hello"
    wait_for(lambda: can_open(server, "/address", address), what="a place")
    wait_for(lambda: can_open(server, "/address", address), what="a place")


def test_client_that_nobody_trusts_cannot_say_who_he_is(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(open_ws(server, "/untrusting", "198.51.100.1"))
        check_refused(server, "/untrusting", "198.51.100.2")
    wait_for(lambda: can_open(server, "/untrusting"), what="a place")


def test_other_spelling_of_a_proxys_header_is_not_heard(server: Server) -> None:
    address, other = next(ADDRESSES), next(ADDRESSES)
    # The environ would have both under the same name.
    spelled = {"X-Forwarded-For": address, "X_Forwarded_For": other}
    with open_ws(server, "/address", address), open_ws(server, "/address", address):
        status = 101
        try:
            with connect(server.ws_url + "/address", proxy=None, additional_headers=spelled):
                pass
        except InvalidStatus as error:
            status = error.response.status_code
        assert status == (101 if server.kind in MIXES_UP else 429)
    wait_for(lambda: can_open(server, "/address", address), what="a place")


def test_key_has_so_many_connections(server: Server) -> None:
    with open_ws(server, "/key?ann"):
        check_refused(server, "/key?ann")
        with open_ws(server, "/key?bob"), open_ws(server, "/key"), open_ws(server, "/key") as client:
            client.send("hello")
            assert client.recv(timeout=10) == "hello"
    wait_for(lambda: can_open(server, "/key?ann"), what="a place")


def test_handshakes_of_an_address_come_at_a_rate(server: Server) -> None:
    address, other = next(ADDRESSES), next(ADDRESSES)
    for _ in range(3):
        with open_ws(server, "/rate", address):
            pass
    check_refused(server, "/rate", address)
    check_refused(server, "/rate", f"{other}, {address}")
    with open_ws(server, "/rate", f"{address}, {other}"):
        pass


def test_messages_beyond_the_rate_end_with_1008(server: Server) -> None:
    with open_ws(server, "/messages") as client:
        for number in range(5):
            client.send(f"{number}")
            assert client.recv(timeout=10) == f"{number}"
        client.send("too many")
        assert read_end(client) == ([], 1008)
        assert client.close_reason == "more than 5 messages in 3600 s"


def test_bytes_beyond_the_rate_end_with_1008(server: Server) -> None:
    with open_ws(server, "/bytes") as client:
        client.send(b"x" * 9000)
        assert len(client.recv(timeout=10)) == 9000
        client.send(b"x" * 1001)
        assert read_end(client) == ([], 1008)


def test_lifetime_is_renewed_as_often_as_the_handler_says(server: Server) -> None:
    with open_ws(server, "/lifetime") as client:
        assert read_end(client) == (["renewed 1", "renewed 2"], 1008)
    with open_ws(server, "/ended") as client:
        client.send("hello")
        assert read_end(client) == (["hello"], 1008)


def test_upgrade_of_a_view_is_limited_as_that_of_a_route(server: Server) -> None:
    if SERVERS[server.kind] != "wsgi":
        return  # the others have no such views
    with open_ws(server, "/view?eve"):
        check_refused(server, "/key?eve")
        check_refused(server, "/view?eve")
