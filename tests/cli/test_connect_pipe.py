"""``connect`` in a pipe: a message a line, nothing lost, and a status that scripts can use."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from tests.cli.peer_app import NASTY
from tests.cli.programs import connect, run
from tests.cli.terminal import PROGRAM
from tests.entrances.proxies import HttpProxy, proxy
from tests.servers import ROOT, Server, certificates, server_context
from ws4py_middleware.cli import main
from ws4py_middleware.cli.connect.piped import Settings
from ws4py_middleware.cli.escaping import escape


def test_program_sends_lines_and_writes_messages(peer: Server) -> None:
    done = run("connect", f"{peer.ws_url}/echo", "--linger", "0.2", said=b"hi\nho\r\n\nlast")
    assert (done.status, done.out, done.err) == (0, b"hi\nho\n\nlast\n", "")


def test_verbose_tells_of_the_connection_on_the_standard_error(peer: Server) -> None:
    options = "-v", "--linger", "0", "--compression", "-s", "chat.v1"
    done = run("connect", f"{peer.ws_url}/echo", *options)
    assert (done.status, done.out) == (0, b"")
    assert "(subprotocol chat.v1, permessage-deflate)" in done.err
    assert "  Sec-WebSocket-Protocol: chat.v1\n" in done.err
    assert done.err.endswith("closed: 1000 (normal closure)\n")


def test_nothing_is_lost_at_the_end_of_the_input(peer: Server) -> None:
    lines = [b"%d %s" % (number, b"x" * (number % 300)) for number in range(20_000)]
    data = b"\n".join([*lines, b"y" * 300_000, b""])
    done = connect(f"{peer.ws_url}/echo", data, Settings(linger=0.5))
    assert done.status == 0
    assert done.out == data


def test_requests_have_what_the_options_say(peer: Server) -> None:
    options = "-H", "Authorization: Bearer x", "-o", "https://example.com", "-s", "chat.v1", "--count", "1"
    done = run("connect", f"{peer.ws_url}/tell", *options)
    assert done.lines == ["Bearer x https://example.com chat.v1 http"]


@pytest.mark.parametrize("option", ["--open-timeout", "--ping-interval", "--linger", "--wait"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e-300", "-1", "soon"])
def test_a_time_is_one_that_can_be_waited_for(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["connect", "ws://127.0.0.1:1/", option, value])
    assert ended.value.code == 2
    assert "a number of seconds from 0.001 to 31536000" in " ".join(capsys.readouterr().err.split())


def test_output_that_cannot_be_written_is_told(peer: Server) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PROGRAM, "connect", f"{peer.ws_url}/echo"],
            input=b"hi\n",
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            cwd=ROOT,
        )
    assert done.returncode == 2
    assert b"the output cannot be written: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_redirects_are_followed_when_asked_for(peer: Server) -> None:
    assert connect(f"{peer.ws_url}/moved").status == 3
    assert connect(f"{peer.ws_url}/moved", b"hi", max_redirects=1).lines == ["hi"]


# --- what is written ---------------------------------------------------------------------------------


def test_messages_and_reasons_are_escaped(peer: Server, capfd: pytest.CaptureFixture[str]) -> None:
    done = connect(f"{peer.ws_url}/nasty", settings=Settings(verbose=True))
    assert done.status == 1
    assert done.lines == [escape(NASTY), '{  "a": [1.10, "\\u202e"]  }', bytes(range(20)).hex()]
    told = capfd.readouterr().err
    assert told.splitlines()[-1] == f"closed: 4000: {escape(NASTY)}"
    assert told.replace("\n", "").isprintable()


def test_json_is_exact(peer: Server) -> None:
    events = [
        json.loads(line) for line in connect(f"{peer.ws_url}/nasty", settings=Settings(form="json")).lines
    ]
    assert [event["event"] for event in events] == ["open", "message", "message", "message", "close"]
    assert events[0]["headers"][0] == ["Upgrade", "websocket"]
    assert events[1]["text"] == NASTY
    assert events[3]["base64"] == "AAECAwQFBgcICQoLDA0ODxAREhM="
    assert (events[4]["code"], events[4]["reason"]) == (4000, NASTY)
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_raw_is_what_came(peer: Server) -> None:
    done = connect(f"{peer.ws_url}/nasty", settings=Settings(form="raw"))
    assert done.out.startswith(NASTY.encode() + b"\n")
    assert done.out.endswith(bytes(range(20)) + b"\n")


# --- what is sent ------------------------------------------------------------------------------------


def test_lines_are_sent_as_bytes_or_hexadecimal(peer: Server) -> None:
    settings = Settings(lines="binary", linger=0.1)
    assert connect(f"{peer.ws_url}/echo", b"\xff\x00\n", settings).lines == ["ff00"]
    settings = Settings(lines="hex", linger=0.1)
    assert connect(f"{peer.ws_url}/echo", b"ff 00\n41", settings).lines == ["ff00", "41"]


@pytest.mark.parametrize(
    ("lines", "text"),
    [("text", "line 2 is not UTF-8, as text has to be"), ("hex", "line 2 is not hexadecimal")],
)
def test_a_line_that_cannot_be_sent_is_wrong_usage(
    peer: Server, capfd: pytest.CaptureFixture[str], lines: str, text: str
) -> None:
    done = connect(f"{peer.ws_url}/echo", b"41\n\xff\n42\n", Settings(lines=lines))
    assert done.status == 2
    assert text in capfd.readouterr().err


# --- when it ends ------------------------------------------------------------------------------------


def test_count_closes_after_so_many(peer: Server) -> None:
    done = connect(f"{peer.ws_url}/count/1000", settings=Settings(count=3, linger=None))
    assert (done.status, done.lines) == (0, ['{"number": 0}', '{"number": 1}', '{"number": 2}'])


def test_count_that_does_not_come_in_time_is_told(peer: Server, capfd: pytest.CaptureFixture[str]) -> None:
    done = connect(f"{peer.ws_url}/count/2", settings=Settings(count=3, wait=0.2, linger=None))
    assert (done.status, len(done.lines)) == (5, 2)
    assert "2 of 3 messages came within 0.2 s" in capfd.readouterr().err


def test_end_before_count_is_told(peer: Server, capfd: pytest.CaptureFixture[str]) -> None:
    done = connect(f"{peer.ws_url}/close/1000", b"x", Settings(count=1, linger=None))
    assert done.status == 1
    assert (
        "0 of 1 messages came; closed: 1000 (normal closure): so it is \\u001b[2J" in capfd.readouterr().err
    )


def test_wait_listens_for_so_long(peer: Server) -> None:
    assert connect(f"{peer.ws_url}/count/2", settings=Settings(wait=0.1, linger=None)).status == 0


@pytest.mark.parametrize(("place", "status"), [("close/1001", 0), ("close/1011", 1), ("lost", 1)])
def test_how_it_was_closed_is_the_status(peer: Server, place: str, status: int) -> None:
    assert connect(f"{peer.ws_url}/{place}", b"x", Settings(linger=None)).status == status


def test_too_long_a_message_is_not_taken(peer: Server, capfd: pytest.CaptureFixture[str]) -> None:
    done = connect(f"{peer.ws_url}/echo", b"x" * 200, Settings(linger=None), max_message_size=100)
    assert done.status == 1
    assert "closed: 1009 (message too big)" in capfd.readouterr().err


# --- no connection -----------------------------------------------------------------------------------


def test_refusal_shows_the_answer(peer: Server) -> None:
    done = run("connect", f"{peer.ws_url}/refuse")
    assert (done.status, done.out) == (3, b"")
    assert done.err.startswith("refused: the server answered with 403 FORBIDDEN")
    assert "\n  X-Why: because\n" in done.err
    assert f"\n\nGo away\n{escape(NASTY).replace(chr(92) + 'n', chr(10))}\n" in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["ws://127.0.0.1:1/"], 4, "cannot connect: no connection to 127.0.0.1:1: Connection refused"),
        (["http://127.0.0.1/"], 2, "the URL's scheme is 'http'"),
        (["ws://127.0.0.1/", "-H", "no colon"], 2, "write 'Name: value'"),
        (["ws://127.0.0.1/", "-H", "X: a\nb"], 2, "has a CR, LF or NUL"),
        (["ws://127.0.0.1/", "--max-size", "1T"], 2, "'1T' is no size"),
        (["ws://127.0.0.1/", "--key", "pyproject.toml"], 2, "--cert says of which"),
        (["wss://127.0.0.1/", "--cert", "pyproject.toml"], 2, "cannot be used"),
        (["ws://127.0.0.1/", "--no-proxy", "--proxy", "http://x"], 2, "not both"),
    ],
)
def test_no_connection_is_told(
    arguments: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["connect", *arguments])
    assert ended.value.code == status
    assert text in capsys.readouterr().err


def test_tls_is_verified(tls_peer: Server, capfd: pytest.CaptureFixture[str]) -> None:
    url = f"{tls_peer.ws_url}/echo"
    authority = str(certificates()[2])
    assert connect(url, b"hi").status == 4
    assert "certificate verify failed" in capfd.readouterr().err
    assert run("connect", url, "--ca", authority, "--count", "1", said=b"hi").out == b"hi\n"
    other = {"ca_certs": authority, "server_hostname": "other.example"}
    assert connect(url, ssl_options=other).status == 4
    assert "other.example" in capfd.readouterr().err


def test_insecure_takes_any_certificate(tls_peer: Server) -> None:
    assert run("connect", f"{tls_peer.ws_url}/echo", "--insecure", "--count", "1", said=b"hi").out == b"hi\n"


def test_own_certificate_is_shown_to_a_server_that_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    certificate, key, authority = map(str, certificates())
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority)
    shown: list[object] = []

    def serve() -> None:
        sock, _ = listener.accept()
        with context.wrap_socket(sock, server_side=True) as wrapped:
            shown.append(wrapped.getpeercert())
            wrapped.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"wss://localhost:{listener.getsockname()[1]}/"
        with pytest.raises(SystemExit) as ended:
            main(["connect", url, "--ca", authority, "--cert", certificate, "--key", key])
        thread.join(10)
    assert ended.value.code == 4  # it says no more
    assert len(shown) == 1
    assert shown[0]


def test_proxies_are_gone_through(peer: Server) -> None:
    with proxy(HttpProxy, peer.port) as way:
        done = run("connect", "ws://somewhere.example/echo", "--proxy", way.url(), "--count", "1", said=b"hi")
        assert (done.status, done.out) == (0, b"hi\n")
        assert way.asked == ["somewhere.example:80"]


def test_server_that_does_not_answer_times_out(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        assert connect(url, open_timeout=0.1).status == 5
    assert "timed out: " in capfd.readouterr().err


# --- signals, and pipes that end ---------------------------------------------------------------------


def start_program(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_close_in_order(peer: Server, number: signal.Signals) -> None:
    with start_program("connect", f"{peer.ws_url}/count/1", "-v") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b'{"number": 0}\n'
        program.send_signal(number)
        assert program.wait(10) == 128 + number
        assert program.stderr is not None
        assert program.stderr.read().decode().endswith("closed: 1001 (going away)\n")


def test_reader_that_goes_away_ends_it(peer: Server) -> None:
    with start_program("connect", f"{peer.ws_url}/count/20000") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b'{"number": 0}\n'
        program.stdout.close()
        assert program.wait(20) == 141
        assert program.stderr is not None
        assert program.stderr.read() == b""


def test_reader_that_does_not_wait_gets_everything(peer: Server) -> None:
    with start_program("connect", f"{peer.ws_url}/count/20000", "--count", "20000") as program:
        assert program.stdout is not None
        lines = program.stdout.read().splitlines()
        assert program.wait(20) == 0
    assert lines == [b'{"number": %d}' % number for number in range(20_000)]
