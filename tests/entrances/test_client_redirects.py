"""client.redirects: where servers send their clients, what is told there, and what is not."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.clients import KINDS, open_client
from tests.entrances.proxies import HttpProxy, Relay, SocksProxy, proxy
from tests.entrances.scripted import Scripted, Visit, no_leaks, scripted, text
from tests.servers import client_context, server_context
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.client.answers import Answer
from ws4py_middleware.client.redirects import first_leg, next_leg
from ws4py_middleware.client.urls import parse_url
from ws4py_middleware.exc import HandshakeError


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    with no_leaks():
        yield


def redirecting(table: Mapping[str, str], status: str = "302 Found") -> Callable[[Visit], None]:
    """Send those who ask for a path elsewhere; to others, say hello."""

    def script(visit: Visit) -> None:
        path = visit.read_request().split(b" ")[1].decode()
        if path in table:
            visit.send(
                f"HTTP/1.1 {status}\r\nLocation: {table[path]}\r\nContent-Length: 5\r\n\r\nmoved".encode()
            )
            visit.wait_end()
        else:
            visit.send(visit.build_101() + text(f"hello from {path}"))
            visit.answer_close()

    return script


def get(url: str, **options: Any) -> str:
    with WebSocketBaseClient(url, **{"max_redirects": 5, **options}) as client:
        return str(client.receive(5))


def refused(url: str, **options: Any) -> HandshakeError:
    client = WebSocketBaseClient(url, **{"max_redirects": 5, **options})
    with pytest.raises(HandshakeError) as caught:
        client.connect()
    assert client.sock is None
    return caught.value


@contextlib.contextmanager
def two_origins(**options: Any) -> Iterator[tuple[Scripted, Scripted]]:
    """Two servers: ``/out`` leads to ``/in`` of the second, ``/far`` by it back to ``/home`` of the first."""
    table: dict[str, str] = {}
    with scripted(redirecting(table), **options) as first, scripted(redirecting(table), **options) as second:
        table.update({"/out": f"{second.url}/in", "/far": f"{second.url}/back", "/back": f"{first.url}/home"})
        yield first, second


# --- where to -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "303 See Other", "307", "308 Moved"]
)
def test_each_kind_of_redirect_is_followed(status: str) -> None:
    with scripted(redirecting({"/a": "/b?c=d"}, status)) as server:
        assert get(f"{server.url}/a") == "hello from /b?c=d"
        keys = [visit.header("Sec-WebSocket-Key") for visit in server.visits]
        assert keys[0] != keys[1], "each request has a key of its own"


def test_by_default_a_redirect_is_a_refusal_that_says_how_to_follow_it() -> None:
    with scripted(redirecting({"/a": "/b"})) as server:
        error = refused(f"{server.url}/a", max_redirects=0)
        assert (error.status, dict(error.headers)["Location"]) == (302, "/b")
        assert str(error).startswith("the server answered with 302 Found, not with 101")
        assert "max_redirects" in str(error)
        client = WebSocketBaseClient(f"{server.url}/a")
        with pytest.raises(HandshakeError):
            client.connect()


BASE = "ws://h.example:8000/a/b?c"


@pytest.mark.parametrize(
    ("base", "location", "url"),
    [
        (BASE, "/", "ws://h.example:8000/"),
        (BASE, "d", "ws://h.example:8000/a/d"),
        (BASE, "../d?e=f", "ws://h.example:8000/d?e=f"),
        (BASE, "?e", "ws://h.example:8000/a/b?e"),
        (BASE, "/d#fragment", "ws://h.example:8000/d"),
        (BASE, "//other.example/d", "ws://other.example/d"),
        (BASE, "ws://other.example/d", "ws://other.example/d"),
        (BASE, "WSS://Other.example", "wss://other.example/"),
        (BASE, "http://other.example:81/d", "ws://other.example:81/d"),
        (BASE, "https://other.example/d", "wss://other.example/d"),
        (BASE, "https://u:p@other.example/d", "wss://other.example/d"),
        (BASE, "/caf\xc3\xa9", "ws://h.example:8000/caf%C3%A9"),
        ("wss://[::1]/a", "/d", "wss://[::1]/d"),
        ("ws://[fe80::1%25eth0]/a", "/d", "ws://[fe80::1%25eth0]/d"),
        ("ws://[fe80::1%25eth0]/a", "//[fe80::2]/d", "ws://[fe80::2]/d"),
        ("wss://h.example/a", "//other.example/d", "wss://other.example/d"),
        ("ws+unix:///run/s", "/d?e", "ws+unix:///run/s"),
    ],
)
def test_location_is_resolved_as_of_any_page(base: str, location: str, url: str) -> None:
    leg = first_leg(parse_url(base), [])
    found = next_leg([leg], Answer(b"", b"", 302, [("Location", location)], b""), 1).target
    if "unix" in base:
        assert found == parse_url(url)._replace(resource="/d?e")
    else:
        assert found == parse_url(url)


@pytest.mark.parametrize(
    ("base", "location", "match"),
    [
        ("wss://h.example/a", "ws://h.example/a", "has no TLS"),
        ("wss://h.example/a", "http://h.example/a", "has no TLS"),
        (BASE, "ftp://h.example/", "neither ws, wss, http nor https"),
        (BASE, "ws+unix:///run/s", "neither ws, wss, http nor https"),
        (BASE, "javascript:alert(1)", "neither ws, wss, http nor https"),
        (BASE, "/a b", "percent-encoded"),
        (BASE, "/a\tb", "percent-encoded"),
        (BASE, "//other.example\\@h.example/", "percent-encoded"),
        (BASE, "https://", "no host"),
        (BASE, "http://h.example:0/", "no port"),
        (BASE, "http://[h/", "Invalid|not"),
        ("ws+unix:///run/s", "http://localhost/d", "away from a Unix socket"),
        ("ws+unix:///run/s", "//localhost/d", "away from a Unix socket"),
    ],
)
def test_where_no_client_goes(base: str, location: str, match: str) -> None:
    leg = first_leg(parse_url(base), [])
    with pytest.raises(HandshakeError, match=match) as caught:
        next_leg([leg], Answer(b"", b"", 307, [("Location", location)], b""), 5)
    assert (caught.value.status, caught.value.headers) == (307, (("Location", location),))


def test_a_redirect_without_one_location_is_a_refusal() -> None:
    answers = {
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n": "answered with 302 Found",
        b"HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\n\r\n": "2 headers Location",
        b"HTTP/1.1 304 Not Modified\r\nLocation: /a\r\n\r\n": "answered with 304",
        b"HTTP/1.1 201 Created\r\nLocation: /a\r\n\r\n": "answered with 201",
    }
    for answer, said in answers.items():

        def script(visit: Visit, answer: bytes = answer) -> None:
            visit.read_request()
            visit.send(answer)

        with scripted(script) as server:
            error = refused(server.url)
            assert said in str(error)
            assert error.status == int(answer.split(b" ")[1])
            assert len(server.visits) == 1


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_from_no_tls_to_tls_but_not_back(scheme: str) -> None:
    table: dict[str, str] = {}
    with (
        scripted(redirecting(table)) as plain,
        scripted(redirecting(table), tls=server_context()) as secure,
    ):
        table["/up"] = secure.url.replace("ws", scheme) + "/in"
        table["/down"] = plain.url.replace("ws", scheme) + "/in"
        assert get(f"{plain.url}/up", ssl_options=client_context()) == "hello from /in"
        error = refused(f"{secure.url}/down", ssl_options=client_context())
        assert "has no TLS, unlike the URL" in str(error)
        assert len(plain.visits) == 1


def test_over_a_unix_socket_the_path_changes(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with scripted(redirecting({"/": "/chat/"}), path=path):
        assert get(f"ws+unix://{path}") == "hello from /chat/"


# --- how far --------------------------------------------------------------------------------------------


def test_no_more_are_followed_than_max_redirects_says() -> None:
    with scripted(redirecting({f"/{number}": f"/{number + 1}" for number in range(5)})) as server:
        assert get(f"{server.url}/0", max_redirects=5) == "hello from /5"
        error = refused(f"{server.url}/0", max_redirects=4)
        assert error.status == 302
        assert "once more than max_redirects=4, to" in str(error)
        assert [visit.request.split()[1] for visit in server.visits[6:]] == [
            b"/0",
            b"/1",
            b"/2",
            b"/3",
            b"/4",
        ]


@pytest.mark.parametrize("table", [{"/a": "/a"}, {"/a": "/b", "/b": "/c", "/c": "/b"}])
def test_a_loop_is_seen_when_it_closes(table: dict[str, str]) -> None:
    with scripted(redirecting(table)) as server:
        error = refused(f"{server.url}/a", max_redirects=50)
        assert error.status == 302
        assert "redirects in a loop, back to" in str(error)
        assert len(server.visits) == len(table)


def test_all_of_the_way_has_one_open_timeout() -> None:
    def script(visit: Visit) -> None:
        path = visit.read_request().split(b" ")[1]
        time.sleep(0.1)
        visit.send(b"HTTP/1.1 302 Found\r\nLocation: %sx\r\n\r\n" % path)

    with scripted(script) as server:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"was not done within 0\.35 s \(open_timeout\)"):
            get(server.url, max_redirects=100, open_timeout=0.35)
        assert time.monotonic() - began < 2


# --- what is told there ---------------------------------------------------------------------------------

SECRETS = [("Authorization", "Bearer x"), ("cookie", "a=b"), ("Host", "virtual.example"), ("X-Mine", "1")]


def test_within_an_origin_everything_is_said_again() -> None:
    with scripted(redirecting({"/a": "/b"})) as server:
        assert get(f"{server.url}/a", headers=SECRETS, protocols=[]) == "hello from /b"
        first, second = (visit.request.splitlines() for visit in server.visits)
        assert [line for line in first[1:] if b"-Key" not in line] == [
            line for line in second[1:] if b"-Key" not in line
        ]


def test_another_origin_is_told_no_secrets_nor_is_the_first_when_the_way_returns() -> None:
    with two_origins() as (first, second):
        assert get(f"{first.url}/far", headers=SECRETS) == "hello from /home"
        assert first.visits[0].header("Authorization") == ["Bearer x"]
        assert first.visits[0].header("Cookie") == ["a=b"]
        for visit, server in ((second.visits[0], second), (first.visits[1], first)):
            assert visit.header("Authorization") == visit.header("Cookie") == []
            assert visit.header("Host") == [f"127.0.0.1:{server.port}"]
            assert visit.header("X-Mine") == ["1"]
            assert visit.header("Origin") == ["ws://virtual.example"], "who asks is who asked first"


def test_user_and_password_of_the_url_are_for_its_origin() -> None:
    with two_origins() as (first, second):
        url = f"{first.url}/out".replace("ws://", "ws://ada:countess@")
        assert get(url, headers=[("Origin", "https://page.example")]) == "hello from /in"
        assert first.visits[0].header("Authorization")[0].startswith("Basic ")
        assert second.visits[0].header("Authorization") == []
        assert second.visits[0].header("Origin") == ["https://page.example"]


def test_another_host_is_shown_no_certificate_of_ours_and_has_its_own_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours = tmp_path / "ours.pem"
    authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(ours)

    def context(name: str) -> ssl.SSLContext:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(server)
        server.verify_mode = ssl.CERT_OPTIONAL
        authority.configure_trust(server)
        return server

    shown: list[bool] = []
    table: dict[str, str] = {}

    def script(visit: Visit) -> None:
        shown.append(bool(visit.sock.getpeercert()))
        redirecting(table)(visit)

    options = {
        "ca_certs": str(tmp_path / "ca.pem"),
        "certfile": str(ours),
        "server_hostname": "first.example",
    }
    with (
        scripted(script, tls=context("first.example")) as first,
        scripted(script, tls=context("127.0.0.1")) as second,
    ):
        table["/out"] = f"https://127.0.0.1:{second.port}/in"
        assert get(f"{first.url}/out", ssl_options=options) == "hello from /in"
    assert shown == [True, False]


def test_each_part_of_the_way_goes_through_the_proxy() -> None:
    with (
        scripted(redirecting({"/a": "http://other.example/b"})) as server,
        proxy(HttpProxy, server.port, login=("ada", "countess")) as relay,
    ):
        assert get("ws://server.example/a", proxy=relay.url("ada:countess")) == "hello from /b"
        assert relay.asked == ["server.example:80", "other.example:80"]
        assert not any(b"Authorization" in visit.request for visit in server.visits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("relay_kind", [HttpProxy, SocksProxy])
def test_clients_of_each_kind_go_through_proxies_and_where_they_are_sent(
    kind: str, relay_kind: type[Relay]
) -> None:
    """From no TLS to TLS, each through the proxy."""
    table = {"/a": "https://localhost:1/b"}
    with (
        scripted(redirecting(table)) as plain,
        scripted(redirecting(table), tls=server_context()) as secure,
        proxy(relay_kind, plain.port, login=("ada", "countess"), drips=True) as relay,
    ):
        relay.goals["localhost"] = secure.port
        options = {"proxy": relay.url("ada:countess"), "max_redirects": 1, "ssl_options": client_context()}
        with open_client(kind, "ws://server.example/a", **options) as session:
            assert str(session.receive()) == "hello from /b"
        assert relay.asked == ["server.example:80", "localhost:1"]


def test_the_client_stays_the_one_of_its_url() -> None:
    with two_origins() as (first, second):
        client = WebSocketBaseClient(f"{first.url}/out", max_redirects=1)
        for _ in range(2):
            client.connect()
            assert str(client.receive(5)) == "hello from /in"
            client.close()
            client.run()
            assert client.bind_addr == ("127.0.0.1", first.port)
            assert client.resource == "/out"
        assert len(first.visits) == len(second.visits) == 2


@pytest.mark.parametrize("value", [-1, 1.5, True, None])
def test_max_redirects_is_a_whole_number(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="max_redirects is"):
        WebSocketBaseClient("ws://h", max_redirects=value)
