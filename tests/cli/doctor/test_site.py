"""``doctor URL``: a site from outside, and the proxy in front of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from tests.proxies.programs import Proxy, start_proxy
from tests.servers import Server, certificates, free_port, start
from ws4py_middleware.cli.doctor import tls
from ws4py_middleware.cli.doctor.findings import Finding
from ws4py_middleware.cli.doctor.kinds import Level
from ws4py_middleware.cli.doctor.site import examine, read_place
from ws4py_middleware.cli.doctor.subject import Options


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start("gunicorn-gthread", "tests.cli.doctor.site_app:app") as server:
        yield server


def look(url: str, **options: Any) -> dict[str, Finding]:
    found = examine(url, Options(**{"timeout": 2.0, **options})).findings
    return {each.code: each for each in found}


def serious(found: dict[str, Finding]) -> set[str]:
    return {code for code, each in found.items() if each.level in (Level.WARN, Level.BAD)}


def test_doctor_of_a_healthy_site(server: Server) -> None:
    found = look(f"http://127.0.0.1:{server.port}/echo", subprotocols=["chat.v1", "chat.v2"])
    assert list(found) == [
        "handshake",
        "ping",
        "subprotocol",
        "early",
        "compression",
        "origin",
        "close",
    ]
    assert found["subprotocol"].what == "the subprotocol chat.v1 is agreed on"
    assert found["compression"].what.endswith("on")


def test_doctor_of_a_subprotocol_that_is_not_spoken(server: Server) -> None:
    found = look(f"ws://127.0.0.1:{server.port}/echo", subprotocols=["other"])
    assert serious(found) == {"subprotocol_refused"}
    assert found["subprotocol_refused"].do == "set subprotocols=['other']"


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("/nowhere", "route_not_found", "404"),
        ("/moved", "redirected", "connect to wss://example.com/live"),
        ("/secret", "not_allowed", "--header"),
        ("/broken", "server_error", "Our"),
        ("/away", "bad_gateway", "a proxy answers"),
        ("/full", "no_room", "503"),
        ("/old", "upgrade_dropped", "proxy_http_version 1.1"),
        ("/odd", "not_a_websocket", "418"),
        ("/hidden", "no_handover", "501"),
        ("/page", "not_a_websocket", "doctor http://127.0.0.1:8000/page"),
    ],
)
def test_doctor_of_an_answer_that_is_none(path: str, code: str, says: str, server: Server) -> None:
    found = look(f"ws://127.0.0.1:{server.port}{path}")
    assert list(found) == [code]
    assert found[code].level is Level.BAD
    assert says in f"{found[code].what} {found[code].why} {found[code].do}"


def test_doctor_where_nobody_listens() -> None:
    assert list(look(f"ws://127.0.0.1:{free_port()}/echo")) == ["unreachable"]


def answer(data: bytes) -> contextlib.AbstractContextManager[str]:
    """Serve the same bytes to everybody; give the URL."""

    @contextlib.contextmanager
    def serve() -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def run() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = listener.accept()
                        with connection:
                            connection.recv(65536)
                            connection.sendall(data)

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()

    return serve()


_OTHER_ACCEPT = (
    b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"220 mail.example.com ESMTP\r\n", "220"),
        (b"", "without an answer"),
        (_OTHER_ACCEPT, "Accept"),
    ],
)
def test_doctor_of_what_speaks_something_else(data: bytes, says: str) -> None:
    with answer(data) as url:
        found = look(url)
    assert list(found) == ["bad_handshake"]
    assert says in found["bad_handshake"].what


def test_doctor_watches_a_silent_connection(server: Server) -> None:
    base = f"ws://127.0.0.1:{server.port}"
    kept = look(f"{base}/pinging", idle=0.9)
    assert {"pings_seen", "idle_kept"} < set(kept)
    assert "about every 0." in kept["pings_seen"].what
    closed = look(f"{base}/leaving", idle=5)
    assert closed["idle_closed"].what.startswith("a silent connection was closed with 1000")


# --- TLS ---------------------------------------------------------------------------------------------


def test_doctor_of_a_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    with start("gunicorn-gthread", "tests.cli.doctor.site_app:app", tls=True) as server:
        url = f"wss://localhost:{server.port}/echo"
        assert list(look(url)) == ["certificate_refused"]
        for options in ({"ca": str(certificates()[2])}, {"insecure": True}):
            found = look(url.replace("wss", "https"), **options)
            assert serious(found) == set()
            assert found["tls"].what.startswith("TLSv1.3, TLS_")
        monkeypatch.setattr(tls, "_SOON", 10**6)
        assert serious(look(url, insecure=True)) == {"certificate_ends"}


@pytest.mark.parametrize("year", [2049, 2050])  # from then on a year has four digits
def test_find_end_of_a_certificate(year: int) -> None:
    end = dt.datetime(year, 2, 28, 12, 30, 1, tzinfo=dt.timezone.utc)
    pem = trustme.CA().issue_cert("localhost", not_after=end).cert_chain_pems[0].bytes()
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    assert tls.find_end(der) == end
    for size in range(len(der) // 2):
        assert tls.find_end(der[:size]) in (None, end)


# --- a real proxy in front ---------------------------------------------------------------------------


@contextlib.contextmanager
def behind_nginx(server: Server, **changes: str) -> Iterator[Proxy]:
    named = {
        "upgrade": "proxy_set_header Upgrade $http_upgrade;",
        "host": "proxy_set_header Host $http_host;",
        "silence": "proxy_read_timeout 60s",
        "app": "127.0.0.1:8000",
    }
    wanted = {named[name]: value for name, value in {"app": f"127.0.0.1:{server.port}", **changes}.items()}
    with start_proxy("nginx", wanted) as proxy:
        yield proxy


def look_behind(proxy: Proxy, path: str, **options: Any) -> dict[str, Finding]:
    return look(f"wss://localhost:{proxy.port}{path}", ca=str(certificates()[2]), **options)


@pytest.mark.proxies
def test_doctor_behind_nginx_as_documented(server: Server) -> None:
    with behind_nginx(server) as proxy:
        found = look_behind(proxy, "/echo")
    assert serious(found) == set()
    assert "nginx" in found["answered_by"].what


@pytest.mark.proxies
def test_doctor_behind_a_proxy_that_drops_upgrade(server: Server) -> None:
    with behind_nginx(server, upgrade="") as proxy:
        found = look_behind(proxy, "/echo")
    assert list(found) == ["upgrade_dropped"]
    assert "426" in found["upgrade_dropped"].what


@pytest.mark.proxies
def test_doctor_behind_a_proxy_with_a_short_patience(server: Server) -> None:
    with behind_nginx(server, silence="proxy_read_timeout 1s") as proxy:
        cut = look_behind(proxy, "/silent", idle=4)
        kept = look_behind(proxy, "/pinging", idle=1.5)
    assert serious(cut) == {"idle_cut"}
    assert "no ping was seen" in cut["idle_cut"].why
    assert serious(kept) == set()


@pytest.mark.proxies
def test_doctor_behind_a_proxy_that_changes_host(server: Server) -> None:
    with behind_nginx(server, host="proxy_set_header Host inside;") as proxy:
        found = look_behind(proxy, "/echo")
        origin = f"https://localhost:{proxy.port}"
    assert serious(found) == {"own_origin_refused"}
    assert origin in found["own_origin_refused"].do


def test_read_place_of_a_url_and_a_path() -> None:
    place = read_place("https://example.com/a?b=c", Options(path="/d"))
    assert (place.host, place.path, place.context is None) == ("example.com", "/d", False)
    with pytest.raises(ValueError, match="fragment"):
        read_place("ws://example.com/#here", Options())
