"""docs/howto/asgi.md says what the tests of the servers expect, and its code runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.entrances.asgi import KINDS, Facts
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "howto" / "asgi.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NAMES = {
    **{kind: f"uvicorn `--ws {kind.removeprefix('uvicorn-')}`" for kind in KINDS if "uvicorn" in kind},
    "gunicorn-asgi": "gunicorn `-k asgi`",
}


def cells(kind: str, facts: Facts) -> list[str]:
    return [
        NAMES.get(kind, kind),
        facts.early,
        "any response" if facts.response else "403",
        "`send()` waits" if facts.backpressure else "the server's memory",
        str(1001 + facts.codes),
        str(4321 if facts.reports is None else facts.reports),
        "1001 at once" if facts.term < 1 else "1001 after the graceful time-out",
    ]


def test_table_is_what_the_tests_expect() -> None:
    table = PAGE.split("| server |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert found == [cells(kind, facts) for kind, facts in KINDS.items()]


@pytest.mark.parametrize("code", CODE, ids=["wrapped", "mounted"])
def test_code_makes_an_application(code: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(code, "docs/howto/asgi.md", "exec"), names)
    assert callable(names["app"])
