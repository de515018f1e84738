"""client.proxies, client.tunnels, client.socks: through real proxies, and what they say no with."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.entrances.proxies import HttpProxy, Relay, SocksProxy, proxy
from tests.entrances.scripted import Visit, get_hello, hello, no_leaks, scripted
from tests.servers import certificates, client_context, free_port, server_context
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.client.proxies import Proxy, choose_proxy, parse_proxy
from ws4py_middleware.client.urls import parse_url
from ws4py_middleware.exc import HandshakeError

KINDS = [HttpProxy, SocksProxy]


@pytest.fixture(autouse=True)
def nothing_leaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    with no_leaks():
        yield


def refused(url: str, **options: Any) -> HandshakeError:
    client = WebSocketBaseClient(url, **options)
    with pytest.raises(HandshakeError) as caught:
        client.connect()
    assert client.sock is None
    return caught.value


# --- through them -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("drips", [False, True])
@pytest.mark.parametrize("login", [None, ("ada", "c:ount@ss/")])
def test_a_server_behind_a_proxy(kind: type[Relay], drips: bool, login: tuple[str, str] | None) -> None:
    with scripted(hello) as server, proxy(kind, server.port, login=login, drips=drips) as relay:
        url = relay.url("ada:c%3Aount%40ss%2F" if login else "")
        get_hello("ws://server.example:8000/chat", proxy=url)
        assert relay.asked == ["server.example:8000"], "the proxy looks the name up"
        request = server.visits[0].request
        assert request.startswith(b"GET /chat HTTP/1.1\r\nHost: server.example:8000\r\n")
        assert b"proxy" not in request.lower()
        assert b"Authorization" not in request


@pytest.mark.parametrize("kind", KINDS)
def test_tls_goes_through_to_the_server_whose_certificate_is_checked(kind: type[Relay]) -> None:
    login = ("ada", "countess")
    with (
        scripted(hello, tls=server_context()) as server,
        proxy(kind, server.port, login=login) as relay,
    ):
        options = {"proxy": relay.url("ada:countess"), "headers": [("Authorization", "Bearer of-the-server")]}
        get_hello(server.url, ssl_options=client_context(), **options)
        assert server.visits[0].header("Authorization") == ["Bearer of-the-server"]
        assert relay.carried.startswith(b"\x16\x03"), "nothing but TLS"
        assert b"of-the-server" not in relay.carried
        assert b"countess" not in server.visits[0].request
        with pytest.raises(OSError, match="certificate verify failed: Hostname mismatch"):
            get_hello("wss://other.example/", ssl_options=client_context(), **options)
        assert relay.asked == [f"localhost:{server.port}", "other.example:443"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[fe80::1%25eth0]"])
def test_addresses_are_told_as_such(kind: type[Relay], host: str) -> None:
    with scripted(hello) as server, proxy(kind, server.port) as relay:
        get_hello(f"ws://{host}:8000/", proxy=relay.url())
        assert relay.asked[0].replace("[", "").replace("]", "") == f"{host.strip('[]').split('%')[0]}:8000"


@pytest.mark.parametrize("bound", [b"\x03\x05proxy", b"\x04" + bytes(16)])
def test_whatever_address_a_socks_proxy_has(bound: bytes) -> None:
    with scripted(hello) as server, proxy(SocksProxy, server.port, drips=True) as relay:
        relay.bound = bound
        get_hello("ws://server.example/", proxy=relay.url().replace("socks5", "socks5h"))
        assert relay.asked == ["server.example:80"]


def test_a_unix_socket_is_behind_no_proxy(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "socket")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{free_port()}")
    with scripted(hello, path=path):
        get_hello(f"ws+unix://{path}")
    with pytest.raises(ValueError, match="no proxy leads to a Unix socket"):
        WebSocketBaseClient(f"ws+unix://{path}", proxy="http://h")


# --- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "ada:wrong", "else:countess"])
def test_407_is_the_proxys_answer_not_the_servers(url: str) -> None:
    with proxy(HttpProxy, free_port(), login=("ada", "countess")) as relay:
        error = refused("wss://server.example/", proxy=relay.url(url))
        assert (error.status, error.body) == (407, b"who are you")
        assert dict(error.headers)["Proxy-Authenticate"] == "Basic realm=office"
        assert f"the proxy 127.0.0.1:{relay.port} answered with 407 Proxy Authentication Required" in str(
            error
        )
        assert "wrong" not in str(error)


def test_a_socks_proxy_that_wants_another_login_is_as_a_407() -> None:
    with proxy(SocksProxy, free_port(), login=("ada", "countess")) as relay:
        for login, why in (
            ("", "it wants a user and a password, which its URL does not have"),
            ("ada:wrong", "it does not take the user and the password"),
        ):
            error = refused("ws://server.example/", proxy=relay.url(login))
            assert error.status == 407
            assert str(error) == f"the proxy 127.0.0.1:{relay.port} refused: {why}"
        relay.login = None
        relay.code = 1
        assert refused("ws://server.example/", proxy=relay.url("ada:wrong")).status == 502


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        (1, 502, "it failed"),
        (2, 403, "do not allow the connection"),
        (5, 502, "was refused"),
        (6, 504, "too far away"),
    ],
)
def test_a_socks_proxy_that_finds_no_way_says_why(code: int, status: int, said: str) -> None:
    with proxy(SocksProxy, free_port()) as relay:
        relay.code = code
        error = refused("ws://server.example:81/", proxy=relay.url())
        assert error.status == status
        assert said in str(error)
        assert str(error).endswith("there is no way to server.example:81")


@pytest.mark.parametrize(
    ("answer", "status", "match"),
    [
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            502,
            "502 Bad Gateway; there is no way to",
        ),
        (b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", 302, "302 Found"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "101 Switching"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 ", 0, "goes on to speak behind its answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, "no status line of HTTP/1"),
        (b"HTTP/1.1 200 OK\r\n", 0, "the proxy closed the connection behind 17 bytes"),
        (b"", 0, "the proxy closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 9000 + b"\r\n\r\n", 0, "longer than 8192"),
    ],
)
def test_what_else_an_http_proxy_may_answer(answer: bytes, status: int, match: str) -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        visit.send(answer)

    with scripted(script) as relay:
        error = refused("ws://server.example/", proxy=relay.url.replace("ws", "http"), max_redirects=5)
        assert error.status == status
        assert match in str(error)


@pytest.mark.parametrize(
    ("answers", "match"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "does not answer as one of SOCKS5"),
        ([b"\x04\x00"], "does not answer as one of SOCKS5"),
        ([b"\x05\x01"], "wants"),
        ([b"\x05\x00", b"\x04\x00\x00\x01\0\0\0\0\0\0"], "does not answer as one of SOCKS5"),
        ([b"\x05\x00", b"\x05\x00\x00\x07\0\0\0\0\0\0"], "does not answer as one of SOCKS5"),
        ([b"\x05\x00", b"\x05\x63\x00\x01\0\0\0\0\0\0"], "does not answer as one of SOCKS5"),
        ([b"\x05\x00", b"\x05\x00\x00\x03\x01\xff\0\0"], "does not answer as one of SOCKS5"),
        ([b"\x05\x77"], "does not answer as one of SOCKS5"),
        ([b"\x05\x00", b"\x05\x05"], "before the end of its answer"),
        ([b"\x05\x00", b"\x05\x05\x00\x01"], "the connection was refused"),
        ([b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0early"], "goes on to speak"),
        ([b"\x05"], "before the end of its answer"),
        ([], "before the end of its answer"),
    ],
)
def test_what_else_a_socks_proxy_may_answer(answers: list[bytes], match: str) -> None:
    def script(visit: Visit) -> None:
        for answer in answers:
            visit.sock.recv(65536)
            visit.send(answer)
        visit.sock.shutdown(socket.SHUT_WR)
        visit.wait_end()

    with scripted(script) as relay:
        assert match in str(refused("ws://server.example/", proxy=f"socks5://127.0.0.1:{relay.port}"))


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_says_nothing_or_is_not_there(scheme: str) -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError, match=rf"no connection to the proxy 127\.0\.0\.1:{port}: "):
        get_hello("ws://server.example/", proxy=f"{scheme}://127.0.0.1:{port}")
    with scripted(Visit.wait_end) as relay:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"the proxy's answer was not done within 0\.2 s"):
            get_hello("ws://server.example/", proxy=f"{scheme}://127.0.0.1:{relay.port}", open_timeout=0.2)
        assert time.monotonic() - began < 2


def test_without_socksio_nothing_is_dialed_and_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with scripted(Visit.wait_end) as relay:
        with pytest.raises(ImportError, match=r'pip install "ws4py_middleware\[socks\]"'):
            get_hello("ws://server.example/", proxy=f"socks5://127.0.0.1:{relay.port}")
        assert not relay.visits


# --- which one ------------------------------------------------------------------------------------------


def test_the_environments_proxy_is_used_for_other_machines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        scripted(hello, tls=server_context()) as server,
        proxy(HttpProxy, server.port, login=("ada", "countess")) as relay,
    ):
        monkeypatch.setenv("HTTPS_PROXY", relay.url("ada:countess"))
        options = {"ca_certs": str(certificates()[2]), "server_hostname": "localhost"}
        get_hello("wss://server.example/", ssl_options=options)
        get_hello(server.url, ssl_options=options)
        assert relay.asked == ["server.example:443"]
        monkeypatch.setenv("HTTPS_PROXY", "https://proxy.example")
        with pytest.raises(ValueError, match="HTTPS_PROXY of the environment begins with https://"):
            get_hello("wss://server.example/")


@pytest.mark.parametrize(
    ("url", "environment", "host"),
    [
        ("ws://h.example", {}, None),
        ("ws://h.example", {"HTTP_PROXY": "http://a"}, "a"),
        ("ws://h.example", {"http_proxy": "http://a", "HTTP_PROXY": "http://b"}, "a"),
        ("ws://h.example", {"HTTPS_PROXY": "http://a"}, None),
        ("wss://h.example", {"HTTP_PROXY": "http://a"}, None),
        ("wss://h.example", {"HTTPS_PROXY": "a:3128", "ALL_PROXY": "socks5://b"}, "a"),
        ("wss://h.example", {"HTTP_PROXY": "http://a", "ALL_PROXY": "socks5://b"}, "b"),
        ("ws://h.example", {"all_proxy": "http://a", "http_proxy": ""}, "a"),
        # What a CGI script is given as HTTP_PROXY is a header of the request's.
        ("ws://h.example", {"HTTP_PROXY": "http://a", "REQUEST_METHOD": "GET"}, None),
        ("ws://localhost", {"HTTP_PROXY": "http://a"}, None),
        ("ws://app.localhost.", {"HTTP_PROXY": "http://a"}, None),
        ("ws://127.3.2.1", {"HTTP_PROXY": "http://a"}, None),
        ("ws://[::1]", {"HTTP_PROXY": "http://a"}, None),
        ("ws://10.1.2.3", {"HTTP_PROXY": "http://a"}, "a"),
        ("ws+unix:///h", {"HTTP_PROXY": "http://a"}, None),
    ],
)
def test_the_environment_names_a_proxy_for_each_scheme(
    url: str, environment: dict[str, str], host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = choose_proxy(True, parse_url(url))
    assert (found and found.host) == host
    assert choose_proxy(None, parse_url(url)) is choose_proxy(False, parse_url(url)) is None


@pytest.mark.parametrize(
    ("entries", "url", "bypassed"),
    [
        ("*", "ws://h.example", True),
        ("*", "ws://10.0.0.1", True),
        ("h.example", "ws://h.example", True),
        ("H.Example", "ws://h.example.", True),
        ("h.example", "ws://sub.h.example", True),
        (".h.example", "ws://sub.h.example", True),
        ("*.h.example", "ws://sub.h.example", True),
        ("h.example", "ws://oh.example", False),
        ("h.example", "ws://h.example.net", False),
        (" other.example , h.example ", "ws://h.example", True),
        ("other.example h.example", "ws://h.example", True),
        ("h.example.", "ws://h.example", True),
        (".", "ws://h.example", False),
        ("h.example:80", "ws://h.example", True),
        ("h.example:81", "ws://h.example", False),
        ("", "ws://h.example", False),
        (",,", "ws://h.example", False),
        ("10.0.0.1", "ws://10.0.0.1", True),
        ("10.0.0.1:80", "ws://10.0.0.1", True),
        ("10.0.0.1:81", "ws://10.0.0.1", False),
        ("10.0.0.0/8", "ws://10.9.9.9", True),
        ("10.0.0.0/8", "ws://11.9.9.9", False),
        ("fd00::/8", "ws://[fd00::1]", True),
        ("fd00::/8", "ws://10.0.0.1", False),
        ("[fd00::1]:80", "ws://[fd00::1]", True),
        ("[fd00::1]", "ws://[fd00::1]", True),
        ("fd00::1", "ws://[fd00::1%25eth0]", True),
        ("h.example", "ws://10.0.0.1", False),
        ("10.0.0.1", "ws://h.example", False),
    ],
)
def test_no_proxy(entries: str, url: str, bypassed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example")
    monkeypatch.setenv("NO_PROXY", entries)
    assert (choose_proxy(True, parse_url(url)) is None) is bypassed
    assert choose_proxy("http://given", parse_url(url)) == Proxy("http", "given", 80)


def test_urls_of_proxies() -> None:
    assert parse_proxy("proxy.example:3128") == Proxy("http", "proxy.example", 3128)
    assert parse_proxy("HTTP://u:p%40@[::1]/") == Proxy("http", "::1", 80, ("u", "p@"))
    assert parse_proxy("socks5://h") == Proxy("socks5", "h", 1080)
    assert parse_proxy("socks5h://h:9050").where == "h:9050"


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("https://u:secret@h", "TLS to the proxy itself"),
        ("ftp://u:secret@h", "begins with 'ftp'"),
        ("http://u:sec/ret@h", "has a path"),
        ("http://u:secret@h/path", "has a path"),
        ("http://u:secret@h:99999", "no port '99999'"),
        ("http://u:secret@", "has no host"),
        ("http://u:secret@h h", "percent-encoded"),
        ("", "has no host"),
        (f"socks5://{'u' * 256}:secret@h", "more than 255 bytes"),
    ],
)
def test_what_is_no_proxy_is_refused_at_once_and_the_password_not_shown(url: str, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        WebSocketBaseClient("ws://server.example/", proxy=url)
    assert "sec" not in str(caught.value)
