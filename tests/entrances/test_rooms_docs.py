"""The code of docs/howto/rooms.md runs under gunicorn, and does what is said of it."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

from websockets.sync.client import connect

from tests.servers import ROOT, start
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.members import MAX_INFO, MAX_ROOM

PAGE = (ROOT / "docs" / "howto" / "rooms.md").read_text(encoding="utf-8")


def test_application_of_the_page_is_a_chat_that_says_who_is_here(tmp_path: Path) -> None:
    block, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "page_app.py").write_text(block, encoding="utf-8")
    options = ("--chdir", str(tmp_path), "--preload")
    with start("gunicorn-gthread", "page_app:app", options=options, directory=tmp_path) as server:
        url = f"{server.ws_url}/chat/lobby"
        with connect(f"{url}?Ada", proxy=None) as ada:
            assert ada.recv(timeout=5) == "here now: Ada"
            with connect(f"{url}?Bob", proxy=None) as bob:
                for client in (ada, bob):
                    assert client.recv(timeout=5) == "here now: Ada, Bob"
                bob.send("hello")
                assert ada.recv(timeout=5) == "Bob: hello"
                request = urllib.request.Request(f"{server.url}/announce/lobby", b"lunch", method="POST")
                with urllib.request.urlopen(request, timeout=5) as response:
                    assert response.read() == b"2"
                assert [ada.recv(timeout=5), bob.recv(timeout=5)] == ["lunch", "lunch"]
            assert ada.recv(timeout=5) == "here now: Ada"
        assert "Traceback" not in server.log


def test_page_names_the_limits_and_all_that_a_hub_has() -> None:
    words = " ".join(PAGE.split())
    assert f"1 to {MAX_ROOM} characters" in words
    assert f"at most {MAX_INFO // 1024} KiB" in words
    assert f"in {Hub.max_rooms:,} rooms" in words
    for name, method in vars(Hub).items():
        if callable(method) and name[0] != "_" and name not in ("deliver", "leave", "leave_all", "close"):
            assert f"hub.{name}(" in PAGE, name
