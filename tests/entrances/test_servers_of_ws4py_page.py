"""docs/howto/servers-of-ws4py.md: each block of code is a server that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.matrix.columns import connect, end_of
from tests.promises.wire import TEXT, close_frame, frame
from tests.seeds.blocks import serve
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "howto" / "servers-of-ws4py.md").read_text(encoding="utf-8")
BLOCKS = dict(
    re.findall(r"^## ([^\n]+)\n\n(?:(?!^## ).)*?```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
)


@pytest.mark.parametrize(
    ("section", "answer"), [("gevent", b"hello"), ("wsgiref", b"hello"), ("Any WSGI server", b"HELLO")]
)
def test_block_of_the_page_serves(section: str, answer: bytes, tmp_path: Path) -> None:
    with serve(BLOCKS[section], tmp_path) as server, connect(server, "/") as peer:
        peer.send(frame(TEXT, b"hello"))
        assert peer.read_frame().payload == answer
        peer.send(close_frame(1000))
        peer.expect_close(1000)
        assert end_of(peer) == ""


def test_each_block_of_the_page_is_tried() -> None:
    assert PAGE.count("```python") == len(BLOCKS) == 3
