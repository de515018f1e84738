"""``connect`` on a terminal: what is typed, what is seen, what is kept."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cli.peer_app import NASTY
from tests.cli.terminal import PROGRAM, Terminal
from tests.servers import Server
from ws4py_middleware.cli.escaping import escape


def talk(url: str, home: Path, *options: str) -> Terminal:
    env = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    return Terminal([*PROGRAM, "connect", url, *options], env=env)


def test_messages_commands_and_the_line_below(peer: Server, tmp_path: Path) -> None:
    with talk(f"{peer.ws_url}/echo", tmp_path, "--no-history", "-s", "chat.v1") as terminal:
        terminal.see("(subprotocol chat.v1); /help lists commands")
        terminal.see("sent 0  received 0  ping")
        for line, seen in (
            ("hello", "< hello"),
            ("//slash", "< /slash"),
            ('{"a":[1,{"b":null}]}', '        "b": null'),
            ("/hex 00 ff 41", "00000000  00 ff 41"),
            ("/hex zz", "'zz' is not hexadecimal"),
            (f"/file {__file__}", "bytes more)"),
            ("/file /nowhere", "No such file"),
            ("/ping", "pong after"),
            (f"/ping {'x' * 126}", "125 bytes at most"),
            ("/nope", "there is no /nope; /help lists commands"),
            ("/headers", "Sec-WebSocket-Protocol: chat.v1"),
            ("/stats", "received 5 messages"),
            ("/help", "/close [CODE [TEXT]]"),
        ):
            terminal.type_line(line)
            terminal.see(seen)
        terminal.end()
    assert terminal.status == 0
    assert terminal.text.endswith("\nclosed: 1000 (normal closure)")
    assert not list(tmp_path.iterdir())


def test_what_is_typed_is_not_torn_by_what_comes(peer: Server, tmp_path: Path) -> None:
    with talk(f"{peer.ws_url}/count/3", tmp_path) as terminal:
        terminal.press("half a li")
        terminal.see('"number": 2')
        terminal.see("> half a li")
        terminal.press("ne\r")
        terminal.see("> half a line")
        terminal.interrupt()
    assert terminal.status == 130
    assert terminal.text.count("half a line") == 1


def test_close_sends_a_code_and_a_reason(peer: Server, tmp_path: Path) -> None:
    with talk(f"{peer.ws_url}/echo", tmp_path) as terminal:
        terminal.see("lists commands")
        terminal.type_line("/close 999")
        terminal.see("999")
        terminal.type_line("/close 4001 that was it")
        terminal.wait()
    assert terminal.status == 0
    assert "\nclosed: 4001" in terminal.text


def test_server_that_closes_ends_it_and_nothing_of_it_is_obeyed(peer: Server, tmp_path: Path) -> None:
    with talk(f"{peer.ws_url}/nasty", tmp_path) as terminal:
        terminal.wait()
    assert terminal.status == 1
    assert f"closed by the server: 4000: {escape(NASTY)}" in terminal.text.replace("\n", "")
    assert b"pwned" in terminal.output
    for obeyed in (b"\x1b]", b"\x07", b"\x9b", "\u202e".encode(), "\u200b".encode()):
        assert obeyed not in terminal.output


def test_history_is_kept_for_its_owner_only(peer: Server, tmp_path: Path) -> None:
    with talk(f"{peer.ws_url}/echo", tmp_path) as terminal:
        terminal.type_line("secret")
        terminal.see("< secret")
        terminal.end()
    path = tmp_path / "state" / "ws4py-middleware" / "history"
    assert "+secret" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    with talk(f"{peer.ws_url}/echo", tmp_path) as terminal:
        terminal.see("> secret", press="\x1b[A")  # it is read while the prompt is there
        terminal.interrupt()


def test_no_colour_is_respected(peer: Server, tmp_path: Path) -> None:
    arguments = [*PROGRAM, "connect", "ws://127.0.0.1:1/"]
    for env, is_coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        with Terminal(arguments, env=env) as terminal:
            terminal.wait()
        assert terminal.status == 4
        assert (b"\x1b[31m" in terminal.output) is is_coloured


def test_a_form_for_programs_is_no_prompt(peer: Server, tmp_path: Path) -> None:
    with talk(f"{peer.ws_url}/echo", tmp_path, "--json", "--count", "1") as terminal:
        terminal.type_line("hi")
        terminal.see('"text": "hi"')
        terminal.wait()
    assert terminal.status == 0
    assert "lists commands" not in terminal.text


def test_prompt_that_is_not_installed_is_told(peer: Server) -> None:
    code = "import sys; sys.modules['prompt_toolkit'] = None; from ws4py_middleware.cli import main; main()"
    with Terminal([sys.executable, "-c", code, "connect", f"{peer.ws_url}/echo"]) as terminal:
        terminal.wait()
    assert terminal.status == 2
    assert terminal.text == 'a prompt needs prompt_toolkit: pip install "ws4py_middleware[cli]"'
