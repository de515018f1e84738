"""
Write the tables of docs/howto/doctor.md: what the doctor can find, and the programs that it knows.

``python -m scripts.lib.doctor_table`` writes what stands between the markers; a test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from ws4py_middleware.cli.doctor.kinds import KINDS, Level
from ws4py_middleware.cli.doctor.programs import PROGRAMS

__all__ = ["PAGE", "fill_in", "render_findings", "render_programs"]

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "doctor.md"

_TITLES = {
    Level.BAD: "Problems: it does not work",
    Level.WARN: "Warnings: it works, and will not always",
    Level.INFO: "Good to know",
    Level.OK: "It works",
}


def render_findings() -> str:
    """Return the tables of what can be found, the worst first."""
    lines: list[str] = []
    for level, title in _TITLES.items():
        lines += [f"### {title}", ""]
        found = {code: kind for code, kind in KINDS.items() if kind.level is level}
        if level in (Level.OK, Level.INFO):
            lines += ["| code | what it says |", "|---|---|"]
            lines += [f"| `{code}` | {_show(kind.what)} |" for code, kind in found.items()]
        else:
            lines += ["| code | what it says | what to do |", "|---|---|---|"]
            lines += [
                f"| `{code}` | {_show(kind.what)} | {_show(kind.do, 'it says so, for each server')} |"
                for code, kind in found.items()
            ]
        lines.append("")
    return "\n".join(lines)


def render_programs() -> str:
    """Return the table of the programs: what is added to them, and what is taken away."""
    lines = ["| program | is put on loopback by | without its own |", "|---|---|---|"]
    for program in PROGRAMS.values():
        added = f"`{' '.join(program.bind)}`" if program.bind else "the address in `--http` and the like"
        dropped = ", ".join(f"`{name}`" for name in (*program.dropped, *program.dropped_flags))
        lines.append(f"| {program.name} | {added} | {dropped or '–'} |")
    return "\n".join([*lines, ""])


def _show(text: str, depends: str = "") -> str:
    """Write a text of a finding as Markdown."""
    if text == "{do}":
        return depends
    text = text.replace("{closed}", "")  # how it went, if it did
    pieces = text.replace("{{", "\0").replace("}}", "\1").replace("|", "\\|").split("`")
    for at, piece in enumerate(pieces):
        if at % 2:  # code
            for name in re.findall(r"\{(\w+)\}", piece):
                piece = piece.replace(f"{{{name}}}", name.upper())
            pieces[at] = f"`{piece}`"
        else:
            piece = piece.replace("<", "&lt;").replace("_", "\\_")
            piece = re.sub(r"\{([\w\\]+)(?:![rs])?\}", r"*\1*", piece)
            pieces[at] = re.sub(r"docs/(\w+)/(\w+)\.md", r"[\2](../\1/\2.md)", piece)
    return "".join(pieces).replace("\0", "{").replace("\1", "}")


def fill_in(text: str) -> str:
    """Put the tables between their markers."""
    for name, table in (("findings", render_findings()), ("programs", render_programs())):
        before, start, rest = text.partition(f"<!-- {name}: ")
        line, _, rest = rest.partition("\n")
        _, end, rest = rest.partition("<!-- end -->")
        text = f"{before}{start}{line}\n\n{table}\n{end}{rest}"
    return text


if __name__ == "__main__":
    PAGE.write_text(fill_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
