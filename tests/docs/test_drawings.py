"""The drawn pictures, and the tables of docs/topics/design.md: they are what the contract says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from scripts.lib.drawings import handover, house
from scripts.lib.drawings.__main__ import IMAGES, PAGE, draw_all, fill_page

AGAIN = "run python -m scripts.lib.drawings"
PACKAGE = house.PACKAGE


@pytest.mark.parametrize("name", [*draw_all()])
def test_picture_is_as_drawn(name: str) -> None:
    assert (IMAGES / name).read_text(encoding="utf-8") == draw_all()[name], AGAIN


@pytest.mark.parametrize("name", [*draw_all()])
def test_picture_is_for_those_who_do_not_see_it_and_for_dark_pages(name: str) -> None:
    picture = ET.fromstring(draw_all()[name])
    space = "{http://www.w3.org/2000/svg}"
    title, desc, style = (picture.find(space + tag) for tag in ("title", "desc", "style"))
    assert title is not None
    assert title.text
    assert desc is not None
    assert desc.text
    assert style is not None
    assert "prefers-color-scheme: dark" in (style.text or "")


def test_words_stay_inside_the_pictures() -> None:
    for name, picture in draw_all().items():
        width = int(re.search(r'width="(\d+)"', picture)[1])  # type: ignore[index]
        for text in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text"):
            half = 7.6 * len(text.text or "") / (2 if text.get("text-anchor") == "middle" else 1)
            assert float(text.get("x", "0")) + half < width, (name, text.text)


def test_page_has_each_moment_of_the_handover_in_order() -> None:
    page = (PAGE.parent / "handover.md").read_text(encoding="utf-8")
    shown = re.findall(r"images/handover_(\w+)\.svg", page)
    assert shown == [moment.name for moment in handover.MOMENTS]


def test_tables_are_those_of_the_contract() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == fill_page(page), AGAIN


def test_each_module_is_on_one_floor() -> None:
    floors = house.read_floors()
    found = [name.strip("/") for names in floors.values() for name in names]
    assert len(found) == len(set(found))
    there = {
        str(path.relative_to(PACKAGE).with_suffix(""))
        for path in [*PACKAGE.glob("*.py"), *PACKAGE.glob("core/*.py")]
    }
    there |= {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.glob("*/__init__.py")}
    there |= {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.glob("core/*/__init__.py")}
    assert {name for name in there if not name.endswith("__init__")} - {"core"} == set(found)


def test_floors_are_where_the_house_has_them() -> None:
    floors = house.read_floors()
    for name, floor in {
        "admin/": 5,
        "wsgi": 4,
        "client/": 4,
        "manager": 3,
        "handover/": 3,
        "routing": 2,
        "core/connection": 1,
        "core/extensions/": 1,
        "core/frames": 0,
        "exc": 0,
    }.items():
        assert name in floors[floor]
