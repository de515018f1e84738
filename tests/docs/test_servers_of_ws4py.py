"""docs/howto/servers-of-ws4py.md: each of its files is a server that works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import CODE
from tests.matrix.columns import connect, end_of
from tests.promises.wire import TEXT, close_frame, frame
from tests.seeds.blocks import serve

FOLDER = CODE / "servers_of_ws4py"
ANSWERS = {"gevent_server.py": b"hello", "wsgiref_server.py": b"hello", "any_server.py": b"HELLO"}


@pytest.mark.parametrize("name", ANSWERS)
def test_server_of_the_page_serves(name: str, tmp_path: Path) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    with serve(text, tmp_path) as server, connect(server, "/") as peer:
        peer.send(frame(TEXT, b"hello"))
        assert peer.read_frame().payload == ANSWERS[name]
        peer.send(close_frame(1000))
        peer.expect_close(1000)
        assert end_of(peer) == ""


def test_each_file_of_the_page_is_tried() -> None:
    assert {path.name for path in FOLDER.glob("*.py")} == set(ANSWERS)
