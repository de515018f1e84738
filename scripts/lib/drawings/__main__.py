"""
Draw the pictures of the topics, and write the tables of the design.

    python -m scripts.lib.drawings

The pictures are those of ``docs/images`` that are named in the modules beside this one; the tables stand in
``docs/topics/design.md`` between comments that name their floors. A test compares all of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from scripts.lib.drawings import flows, handover, house, lifecycle

IMAGES = house.ROOT / "docs" / "images"
PAGE = house.ROOT / "docs" / "topics" / "design.md"


def draw_all() -> Mapping[str, str]:
    """Return all pictures by the names of their files."""
    return {**house.draw(), **handover.draw(), **lifecycle.draw(), **flows.draw()}


def fill_page(page: str) -> str:
    """Return the page with the tables as they have to be."""
    for floor, table in house.build_tables().items():
        begin, end = f"<!-- floor {floor} -->\n", f"<!-- /floor {floor} -->"
        if begin not in page or end not in page:
            raise SystemExit(f"{PAGE.name} has no place for floor {floor}")
        before, rest = page.split(begin, 1)
        page = before + begin + table + end + rest.split(end, 1)[1]
    return page


def main() -> None:
    """Write all of it."""
    for name, picture in draw_all().items():
        (IMAGES / name).write_text(picture, encoding="utf-8")
        print(f"== wrote docs/images/{name}")
    PAGE.write_text(fill_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
