"""What tests ask of a page of the documentation: its text, its commands, its tables."""

from __future__ import annotations

import re
import shlex

from tests.servers import ROOT

__all__ = ["CODE", "read_commands", "read_page", "read_table"]

CODE = ROOT / "docs" / "code"


def read_page(name: str) -> str:
    """Read a page, ``"howto/gunicorn"``."""
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def read_commands(page: str, program: str) -> list[list[str]]:
    """Return the commands of a page that run this program: their words, without its name and comments."""
    lines = re.findall(rf"^ *\$ {re.escape(program)} (.*)$", page, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def read_table(page: str, header: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this header."""
    table = page.split(f"\n| {header} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
