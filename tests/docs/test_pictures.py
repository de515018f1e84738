"""docs/images: each picture is made by a script, and shown somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.lib import screenshots, terminal_pictures
from scripts.lib.drawings.__main__ import draw_all
from tests.servers import ROOT

IMAGES = ROOT / "docs" / "images"

#: ``python -m benchmarks`` draws it.
MEASURED = {"benchmarks.svg"}


def test_each_picture_is_made_by_a_script_and_the_other_way_round() -> None:
    pages = {f"{name}.png" for name in screenshots.PICTURES} | {"flask_chat_dark.png"}
    terminals = {f"{picture.name}.svg" for picture in terminal_pictures.PICTURES}
    assert {path.name for path in IMAGES.iterdir()} == pages | terminals | {*draw_all()} | MEASURED


def test_each_picture_is_shown() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*ROOT.glob("*.md"), *ROOT.glob("[de]*/**/*.md"))]
    shown = {Path(target).name for text in texts for target in re.findall(r"images/[\w.-]+", text)}
    assert not {path.name for path in IMAGES.iterdir()} - shown
