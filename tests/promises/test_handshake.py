"""P11 to P17: the opening handshake, and the hand-over from the HTTP server, on the wire."""

from __future__ import annotations

import re
import socket
import time

import pytest
from websockets.sync.client import connect

from tests.promises.attacker import Peer, ask, report, upgrade
from tests.promises.conftest import StartFresh
from tests.promises.wire import KEY, TEXT, close_frame, frame, request
from tests.servers import Server

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"


def split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Take an answer apart: status, headers by their lower case names, what follows."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return int(line.split(" ")[1]), headers, body


# --- P11: the exact handshake ----------------------------------------------------------------------------

#: Each is refused, by us or by the HTTP server, with a 4xx.
BAD: dict[str, bytes] = {
    **{method: request("/echo", method=method) for method in ("POST", "PUT", "HEAD", "OPTIONS", "get")},
    "no method": request("/echo", method=""),
    "HTTP/1.0": request("/echo").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "HTTP/2.0": request("/echo").replace(b"HTTP/1.1", b"HTTP/2.0", 1),
    "HTTP/1.9": request("/echo").replace(b"HTTP/1.1", b"HTTP/1.9", 1),
    "no host": request("/echo", {"Host": None}),
    "two hosts": request("/echo").replace(b"\r\n", b"\r\nHost: localhost\r\n", 1),
    "empty host": request("/echo", {"Host": ""}),
    "host with a space": request("/echo", {"Host": "local host"}),
    "host with a user": request("/echo", {"Host": "me@localhost"}),
    "no upgrade": request("/echo", {"Upgrade": None}),
    **{
        f"Upgrade: {value}": request("/echo", {"Upgrade": value})
        for value in ("notwebsocket", "websockets", "websocket/13 x", "h2c", "", "web socket", '"websocket"')
    },
    "no connection": request("/echo", {"Connection": None}),
    **{
        f"Connection: {value}": request("/echo", {"Connection": value})
        for value in ("close", "keep-alive", "notupgrade", "upgraded", "", '"Upgrade"')
    },
    "no key": request("/echo", {"Sec-WebSocket-Key": None}),
    "two keys": request("/echo").replace(b"\r\n", f"\r\nSec-WebSocket-Key: {KEY}\r\n".encode(), 1),
    **{
        f"key {value}": request("/echo", {"Sec-WebSocket-Key": value})
        for value in (
            "",
            "x",
            KEY[:-1],
            KEY + "=",
            KEY + KEY,
            "AAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "!!!!AAAAAAAAAAAAAAAAAA==",
            "AAAA AAAAAAAAAAAAAAAAA==",
            "ÄAAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAAB==",
            "AAAAAAAAAAAAAAAAAAAAA-==",
        )
    },
    "no version": request("/echo", {"Sec-WebSocket-Version": None}),
    **{
        f"version {value}": request("/echo", {"Sec-WebSocket-Version": value})
        for value in (
            "",
            "0",
            "8",
            "12",
            "14",
            "013",
            "+13",
            "-13",
            "13.0",
            "1 3",
            "13, 8",
            "255",
            "x",
            "1" * 5000,
        )
    },
    "two versions": request("/echo").replace(b"\r\n", b"\r\nSec-WebSocket-Version: 13\r\n", 1),
    "a body": request("/echo", {"Content-Length": "5"}) + b"hello",
    "a chunked body": request("/echo", {"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n",
    "both": request("/echo", {"Transfer-Encoding": "chunked", "Content-Length": "5"}) + b"0\r\n\r\n",
    "malformed length": request("/echo", {"Content-Length": "x"}),
    "malformed protocols": request("/echo", {"Sec-WebSocket-Protocol": "a b, (c)"}),
    "doubled protocols": request("/echo", {"Sec-WebSocket-Protocol": "a, a"}),
    "malformed extensions": request("/deflate", {"Sec-WebSocket-Extensions": "permessage-deflate; ="}),
    "101 headers": request("/echo", {f"X-{number}": "x" for number in range(101)}),
    "a long header": request("/echo", {"X-Long": "x" * 10_000}),
    "a folded header": request("/echo", {"X-Folded": "a\r\n b"}),
    "a header without a colon": request("/echo").replace(b"\r\n", b"\r\nnonsense\r\n", 1),
    "a space before the colon": request("/echo").replace(b"Upgrade:", b"Upgrade :", 1),
    "NUL in a header": request("/echo", {"X": "a\0b"}),
    "latin-1 origin": request("/echo", {"Origin": "http://ümlaut"}),
    "an empty path": request(""),
    "nonsense": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
}


@pytest.mark.parametrize("case", BAD)
def test_p11_bad_handshake_is_a_4xx(server: Server, case: str) -> None:
    answer = ask(server, BAD[case])
    if not answer:
        # gunicorn hangs up on what does not look like HTTP at all.
        assert case == "nonsense"
        return
    status, headers, _ = split(answer)
    assert 400 <= status < 500, answer
    assert headers["connection"].lower().startswith("close"), answer
    assert len(re.findall(rb"HTTP/1\.\d \d{3} ", answer)) == 1
    if "upgrade" in case.lower() and "connection" not in case.lower():
        assert status == 426


@pytest.mark.parametrize(
    "headers",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "upgrade"},
        {"Connection": ",, Upgrade ,"},
        {"Content-Length": "0"},
        {"Host": "[::1]:8000"},
        {"Sec-WebSocket-Extensions": 'permessage-deflate; client_max_window_bits=99, x-unknown; a="b"'},
        {"Sec-WebSocket-Protocol": "soap, wamp"},
    ],
)
def test_p11_unusual_but_legal_handshake_is_accepted(server: Server, headers: dict[str, str]) -> None:
    with upgrade(server, "/echo", headers) as peer:
        assert b"Sec-WebSocket-Protocol" not in peer.head
        assert b"Sec-WebSocket-Extensions" not in peer.head
        peer.echo()


# --- P12, P13: refused upgrades --------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0", "7", "8", "12", "14", "255"])
def test_p12_unsupported_version_is_426_and_says_which(server: Server, version: str) -> None:
    status, headers, body = split(ask(server, request("/echo", {"Sec-WebSocket-Version": version})))
    assert status == 426
    assert headers["sec-websocket-version"] == "13"
    assert headers["upgrade"] == "websocket"
    assert body.count(b"\n") == 1
    assert body.endswith(b"\n")


@pytest.mark.parametrize(
    "refused",
    [
        request("/echo", {"Sec-WebSocket-Version": "8"}),
        request("/echo", {"Sec-WebSocket-Key": "x"}),
        request("/echo", {"Origin": "https://evil.example"}),
        request("/echo", {"Content-Length": str(len(HIDDEN))}),
        request("/echo", {"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n",
        request("/echo", {"Transfer-Encoding": "chunked", "Content-Length": str(len(HIDDEN))}),
        request("/echo", {"Transfer-Encoding": "identity, chunked"}),
        request("/echo", method="POST"),
        request("/nothing/here"),
    ],
)
def test_p13_refused_upgrade_ends_the_connection(server: Server, refused: bytes) -> None:
    """What follows it, here a request for another page, is neither a request nor frames."""
    answer = ask(server, refused + HIDDEN + frame(TEXT, b"hello"))
    assert answer.startswith(b"HTTP/1.1 ")
    assert not answer.startswith(b"HTTP/1.1 101")
    assert answer.count(b"HTTP/1.") == 1
    if not refused.startswith(b"GET /nothing"):
        assert 400 <= split(answer)[0] < 500
    assert "close" in split(answer)[1]["connection"].lower()


# --- P14, P15: the hand-over -------------------------------------------------------------------------------


def test_p14_early_frames_are_not_lost_at_any_split(server: Server) -> None:
    frames = frame(TEXT, b"early") + frame(TEXT, b"x" * 200, key=b"\1\2\3\4") + close_frame(1000)
    head = request("/echo")
    wire = head + frames
    cuts = [*range(len(head) - 6, len(wire), 3), len(wire)]
    for cut in [*cuts, 1, 10, len(head) - 40]:
        with Peer(server.connect()) as peer:
            peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.send(wire[:cut])
            if cut < len(wire):
                time.sleep(0.002)  # so that it is read in two pieces; right in any case
                peer.send(wire[cut:])
            assert peer.read_head() == 101
            assert peer.read_frame().payload == b"early", cut
            assert peer.read_frame().payload == b"x" * 200, cut
            assert peer.read_frame().code == 1000
            assert peer.read_to_end() == b""


def test_p14_early_bytes_of_any_size_are_not_lost(server: Server) -> None:
    for size in (1000, 8192, 70_000, 500_000):
        with upgrade(server, "/size", early=frame(TEXT, b"x" * size) + frame(TEXT, b"1")) as peer:
            assert peer.read_frame().payload == b"%d" % size
            assert peer.read_frame().payload == b"1"


@pytest.mark.parametrize("path", ["/body/echo", "/echo", "/function", "/view"])
def test_p15_nothing_but_frames_after_the_101(server: Server, path: str) -> None:
    """Whatever the application returns or raises after the upgrade."""
    with upgrade(server, path) as peer:
        peer.echo()
        assert peer.data == b""
        peer.send(close_frame(1000))
        assert peer.read_frame().code == 1000
        assert peer.read_to_end() == b""


FAULTS = {"/fault/echo": None, "/raise-opened": 1011, "/raise-function": 1011}


def test_p15_a_fault_after_the_101_sends_no_http(kind: str, start_fresh: StartFresh) -> None:
    with start_fresh("ZeroDivisionError: asked for by the test") as server:
        for path, code in FAULTS.items():
            with upgrade(server, path) as peer:
                peer.send(frame(TEXT, b"hello"))
                if code is None:
                    assert peer.read_frame().payload == b"hello"
                    peer.send(close_frame(1000))
                assert peer.read_frame().code == code or 1000
                assert peer.read_to_end() == b"", path


def test_p15_foreign_client_agrees(server: Server) -> None:
    with connect(server.ws_url + "/body/echo", compression=None) as client:
        for text in ("", "hello", "x" * 100_000):
            client.send(text)
            assert client.recv(timeout=5) == text
    assert client.protocol.close_code == 1000


# --- P16, P17: headers and origins -------------------------------------------------------------------------


def test_p16_no_header_can_be_injected(kind: str, start_fresh: StartFresh) -> None:
    """A value with CR, LF or NUL never reaches the wire: the upgrade fails before any byte is sent."""
    values = ("a=1CRLFSet-Cookie:evil=1", "a=1LFX:evil", "a=1CRX:evil", "a=NULevil")
    with start_fresh("ValueError: ") as server:
        for value in values:
            answer = ask(server, request(f"/cookie/x?{value}"))
            assert answer.startswith(b"HTTP/1.1 500"), answer
            assert b"evil" not in answer
        with upgrade(server, "/cookie/x?a=1") as peer:
            assert b"\r\nSet-Cookie: a=1" in peer.head


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-WebSocket-Protocol": "chat\r\nX-Evil: 1"},
        {"Sec-WebSocket-Protocol": "superchat, chat"},
        {"Sec-WebSocket-Protocol": "nothing that is spoken"},
    ],
)
def test_p16_what_the_client_says_is_not_repeated_unchecked(server: Server, headers: dict[str, str]) -> None:
    with Peer(server.connect()) as peer:
        peer.send(request("/protocols", headers))
        status = peer.read_head()
        assert b"evil" not in peer.head.lower()
        if status == 101:
            assert b"Sec-WebSocket-Protocol: chat" in peer.head
        else:
            assert status == 400


LOOK_ALIKES = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://evil-localhost",
    "http://localhost@evil.example",
    "http://evil.example/localhost",
    "http://evil.example#localhost",
    "http://localhost:1",
    "http://localhost:80.evil.example",
    "https://localhost\\.evil.example",
    "http://localhos",
    "http://xlocalhost",
    "http://localhost, http://evil.example",
    "null",
    "file://",
    "",
    "http://",
    "localhost",
    "http://LOCALHOST.",
]


@pytest.mark.parametrize("origin", LOOK_ALIKES)
def test_p17_cross_site_pages_cannot_connect(server: Server, origin: str) -> None:
    status, _, _ = split(ask(server, request("/echo", {"Origin": origin})))
    assert status in (400, 403)


def test_p17_own_pages_and_clients_that_are_no_browser_can(server: Server) -> None:
    for headers in ({"Origin": "http://localhost"}, {"Origin": "http://LocalHost:80"}, {}):
        with upgrade(server, "/echo", headers) as peer:
            peer.echo()
    host = f"localhost:{server.port}"
    with upgrade(server, "/echo", {"Host": host, "Origin": f"http://{host}"}) as peer:
        peer.echo()
    report(f"P17 {server.kind}", accepted=0, tried=len(LOOK_ALIKES))
