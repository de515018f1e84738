"""P31: what is bad on the way to a server: TLS that is not its, proxies, and redirects."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from tests.entrances.scripted import Visit, scripted
from tests.promises.bad_servers import (
    HEAD,
    OK,
    Refused,
    Script,
    answer,
    answer_endlessly,
    drip,
    say_nothing,
    stream,
)
from tests.promises.clientside import SLACK, ClientProcess, Job, Outcome, at_most, trusting
from tests.promises.wire import KiB, MiB
from tests.servers import server_context


def ask(clients: ClientProcess, job: Job) -> Outcome:
    """Let a client do something of which nothing good comes, soon."""
    with at_most(8 * MiB, clients):
        outcome = clients.ask(job)
    assert outcome.seconds <= job.options.get("open_timeout", 0) + SLACK
    return outcome


# --- TLS ----------------------------------------------------------------------------------------------


#: The beginning of a record of 16 KiB of TLS' handshake.
RECORD = b"\x16\x03\x03\x40\x00"


class Authority:
    """An authority that the clients trust, and what it signs."""

    def __init__(self, folder: Any) -> None:
        self.ca = trustme.CA()
        self.path = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.path)

    def sign(self, *names: str, ca: trustme.CA | None = None, **options: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (ca or self.ca).issue_cert(*names, **options).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def for_another_host(authority: Authority) -> ssl.SSLContext:
    return authority.sign("elsewhere.example")


def of_an_unknown_authority(authority: Authority) -> ssl.SSLContext:
    return authority.sign("localhost", ca=trustme.CA())


def expired(authority: Authority) -> ssl.SSLContext:
    now = dt.datetime.now(dt.timezone.utc)
    day = dt.timedelta(days=1)
    return authority.sign("localhost", not_before=now - 2 * day, not_after=now - day)


def not_yet_valid(authority: Authority) -> ssl.SSLContext:
    now = dt.datetime.now(dt.timezone.utc)
    day = dt.timedelta(days=1)
    return authority.sign("localhost", not_before=now + day, not_after=now + 2 * day)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (for_another_host, "Hostname mismatch"),
        (of_an_unknown_authority, "unable to get local issuer certificate"),
        (expired, "certificate has expired"),
        (not_yet_valid, "certificate is not yet valid"),
    ],
)
def test_p31_certificate_that_is_not_the_servers_is_an_sslerror(
    clients: ClientProcess, authority: Authority, make: Callable[[Authority], ssl.SSLContext], match: str
) -> None:
    requests = []

    def script(visit: Visit) -> None:
        requests.append(visit.read_request())

    with scripted(script, tls=make(authority)) as server:
        outcome = ask(clients, Job(server.url, {"ssl_options": {"ca_certs": authority.path}}))
    assert outcome.error[0] == "SSLCertVerificationError"
    assert match in outcome.message
    assert requests == []  # nothing was said to whoever it was


@pytest.mark.parametrize(
    "script",
    [
        answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        answer(HEAD + b"\r\n"),
        lambda visit: stream(visit, itertools.repeat(bytes(64 * KiB))),
        lambda visit: stream(
            visit, itertools.chain([b"\x16\x03\x03\x40\x00"], itertools.repeat(b"\x02" * 999))
        ),
    ],
    ids=["http-400", "http-101", "endless-zeros", "endless-tls-record"],
)
def test_p31_plain_server_on_wss_is_an_sslerror(clients: ClientProcess, script: Script) -> None:
    def at_once(visit: Visit) -> None:
        visit.read_request = lambda: b""  # type: ignore[method-assign]  # what comes is no request
        visit.sock.recv(65536)
        script(visit)

    with scripted(at_once) as server:
        url = server.url.replace("ws://127.0.0.1", "wss://localhost")
        outcome = ask(clients, Job(url, {"ssl_options": trusting()}))
    assert "OSError" in outcome.error
    assert outcome.error[0].startswith("SSL") or outcome.error[0] == "ConnectionResetError"


def test_p31_server_that_wants_a_certificate_of_the_client_is_an_error(clients: ClientProcess) -> None:
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(trusting()["ca_certs"])
    with scripted(say_nothing, tls=context) as server:
        outcome = ask(clients, Job(server.url, {"ssl_options": trusting()}))
    # With TLS 1.3 the server says so behind the handshake, to which a connection that is lost belongs.
    assert outcome.status == 0 or "OSError" in outcome.error


def test_p31_tls_that_does_not_go_on_has_open_timeout_for_all_of_it(clients: ClientProcess) -> None:
    def one_byte_each(visit: Visit) -> None:
        drip(RECORD, b"\x02")(visit)

    def read_nothing(visit: Visit) -> None:
        visit.read_request = lambda: b""  # type: ignore[method-assign]
        one_byte_each(visit)

    with scripted(say_nothing) as silent, scripted(read_nothing) as dripping:
        jobs = [
            Job(f"wss://localhost:{server.port}", {"ssl_options": trusting(), "open_timeout": 0.3})
            for server in (silent, dripping)
        ]
        outcomes = clients.ask_all(jobs)
    for outcome in outcomes:
        assert outcome.seconds <= 0.3 + SLACK
    assert outcomes[0].error[0] == "TimeoutError"
    assert "the TLS handshake with localhost was not done within 0.3 s" in outcomes[0].message


# --- proxies --------------------------------------------------------------------------------------------

#: The server is behind the proxy, and never reached.
BEHIND = "ws://server.example/"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def talk(*answers: bytes) -> Script:
    """Give one answer for each time that something comes."""

    def script(visit: Visit) -> None:
        for each in answers:
            visit.receive()
            visit.send(each)
        visit.wait_end()

    return script


HTTP_PROXIES = {
    "407": Refused(
        answer(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
            b"Content-Length: 2\r\n\r\nno"
        ),
        "the proxy",
        407,
    ),
    "403-of-1-gib": Refused(
        answer_endlessly(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1073741824\r\n\r\n", bytes(64 * KiB)),
        "the proxy",
        403,
    ),
    "101": Refused(answer(HEAD + b"\r\n"), "the proxy", 101),
    "ssh": Refused(answer(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "", 0),
    "nothing": Refused(answer(), "the proxy", 0),
    "endless-headers": Refused(answer_endlessly(ESTABLISHED[:-2], b"X-Header: value\r\n" * 1000), "", 0),
    "200-and-nothing": Refused(answer(ESTABLISHED), "without an answer", 0),
    "200-and-more": Refused(answer(ESTABLISHED + OK + b"Content-Length: 0\r\n\r\n"), "goes on to speak", 0),
    "200-and-no-server": Refused(talk(ESTABLISHED, OK + b"Content-Length: 0\r\n\r\n"), "not with 101", 200),
}
SOCKS_PROXIES = {
    "http": Refused(talk(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "does not answer as one of SOCKS5", 0),
    "socks4": Refused(talk(b"\0\x5b" + bytes(6)), "does not answer as one of SOCKS5", 0),
    "login": Refused(talk(b"\x05\x02"), "refused", 407),
    "no-method": Refused(talk(b"\x05\xff"), "refused", 407),
    "refused": Refused(talk(b"\x05\0", b"\x05\x02\0\x01" + bytes(6)), "refused", 403),
    "unknown-code": Refused(talk(b"\x05\0", b"\x05\x99\0\x01" + bytes(6)), "", 0),
    "unknown-address": Refused(talk(b"\x05\0", b"\x05\0\0\x07" + bytes(6)), "SOCKS5", 0),
    "endless": Refused(lambda visit: stream(visit, itertools.repeat(b"\x05\0" * 1000)), "SOCKS5", 0),
    "cut": Refused(lambda visit: visit.send(b"\x05\0\x05"), "", 0),
}


@pytest.mark.parametrize(
    ("scheme", "name"),
    [*(("http", name) for name in HTTP_PROXIES), *(("socks5h", name) for name in SOCKS_PROXIES)],
)
def test_p31_proxy_that_is_none_or_refuses_is_a_handshakeerror(
    clients: ClientProcess, scheme: str, name: str
) -> None:
    bad = (HTTP_PROXIES if scheme == "http" else SOCKS_PROXIES)[name]
    with scripted(bad.script) as server:
        outcome = ask(clients, Job(BEHIND, {"proxy": f"{scheme}://127.0.0.1:{server.port}"}))
    assert (outcome.error[0], outcome.status) == ("HandshakeError", bad.status)
    assert bad.match in outcome.message


def test_p31_proxies_that_do_not_go_on_have_open_timeout_for_all_of_it(clients: ClientProcess) -> None:
    scripts: list[tuple[str, Script]] = [
        ("http", say_nothing),
        ("http", drip(b"", HEAD)),
        ("http", talk(ESTABLISHED)),
        ("socks5h", say_nothing),
        ("socks5h", talk(b"\x05\0")),
    ]
    with contextlib.ExitStack() as stack:
        jobs = []
        for scheme, script in scripts:
            server = stack.enter_context(scripted(script))
            jobs.append(Job(BEHIND, {"proxy": f"{scheme}://127.0.0.1:{server.port}", "open_timeout": 0.3}))
        outcomes = clients.ask_all(jobs)
    for outcome in outcomes:
        assert outcome.seconds <= 0.3 + SLACK
        assert outcome.error[0] == "TimeoutError"
        assert "was not done within 0.3 s (open_timeout)" in outcome.message


# --- redirects --------------------------------------------------------------------------------------------


def redirect(location: str, more: bytes = b"") -> Script:
    """Redirect each request to the same place, or with {} to another one each time."""

    def script(visit: Visit) -> None:
        visit.read_request()
        port = visit.sock.getsockname()[1]
        path = visit.request.split()[1].decode()
        to = location.replace("PORT", str(port)).replace("PATH", path)
        visit.send(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\n".encode() + more + b"Content-Length: 0\r\n\r\n")

    return script


REDIRECTS = {
    "loop": Refused(redirect("/there"), "in a loop", 302),
    "loop-to-itself": Refused(redirect("PATH"), "in a loop", 302),
    "endless": Refused(redirect("PATH/further"), "max_redirects=5", 302),
    "endless-hosts": Refused(redirect("http://127.0.0.1:PORT/PATH/x"), "max_redirects=5", 302),
    "other-scheme": Refused(redirect("file:///etc/passwd"), "no WebSocket", 302),
    "unix-socket": Refused(redirect("ws+unix:///run/docker.sock"), "no WebSocket", 302),
    "no-host": Refused(redirect("http://[::1/"), "no WebSocket", 302),
    "two-locations": Refused(redirect("/a", b"Location: /b\r\n"), "no WebSocket", 302),
    "none": Refused(answer(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), "", 302),
    "of-8-kib": Refused(redirect("/" + "x" * 8192), "longer than 8192", 0),
}


@pytest.mark.parametrize("name", REDIRECTS)
def test_p31_redirects_that_lead_nowhere_are_a_handshakeerror(clients: ClientProcess, name: str) -> None:
    bad = REDIRECTS[name]
    with scripted(bad.script) as server:
        outcome = ask(clients, Job(f"{server.url}/here", {"max_redirects": 5}))
        assert len(server.visits) <= 6
    assert (outcome.error[0], outcome.status) == ("HandshakeError", bad.status)
    assert bad.match in outcome.message


def test_p31_redirect_from_tls_to_none_is_refused(clients: ClientProcess) -> None:
    with scripted(redirect("ws://127.0.0.1:PORT/"), tls=server_context()) as server:
        outcome = ask(clients, Job(server.url, {"ssl_options": trusting(), "max_redirects": 5}))
        assert len(server.visits) == 1
    assert (outcome.error[0], outcome.status) == ("HandshakeError", 302)
    assert "no TLS" in outcome.message


def test_p31_slow_redirects_have_open_timeout_for_all_of_them(clients: ClientProcess) -> None:
    further = redirect("PATH/further")

    def script(visit: Visit) -> None:
        threading.Event().wait(0.1)
        further(visit)

    with scripted(script) as server:
        outcome = ask(clients, Job(f"{server.url}/here", {"max_redirects": 50, "open_timeout": 0.3}))
    assert outcome.error[0] == "TimeoutError"
