"""docs/howto/command-line.md: what it has its reader type, and that its tables have each option."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click
import pytest

from tests.docs.pages import read_page, read_table
from tests.docs.tutorial import perform
from tests.docs.tutorial import read_page as read_steps
from tests.servers import ROOT, free_port
from ws4py_middleware.cli.bench import bench
from ws4py_middleware.cli.connect import connect
from ws4py_middleware.cli.connect.interactive import _HELP, history_path
from ws4py_middleware.cli.group import COMMANDS
from ws4py_middleware.cli.options import CLIENT_OPTIONS

PAGE = "howto/command-line"


def find_options(text: str) -> set[str]:
    return set(re.findall(r"`(-[\w-]+)", text))


def read_options(header: str, *columns: str) -> set[str]:
    head = " | ".join((header, *columns))
    return find_options(
        " ".join(row[0] for row in read_table(read_page(PAGE).replace(f"| {head} |", "| - |"), "-"))
    )


def get_options(command: click.Command) -> set[str]:
    return {name for param in command.params if isinstance(param, click.Option) for name in param.opts}


def get_client_options() -> set[str]:
    @click.command()
    def command() -> None: ...

    for option in CLIENT_OPTIONS:
        command = option(command)
    return get_options(command)


def test_commands_do_what_the_page_says(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "ws4py-middleware"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ws4py_middleware "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    env = {
        **os.environ,
        "PATH": os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    perform(read_steps(ROOT / "docs" / f"{PAGE}.md"), folder, env, {}, {"8000": str(free_port())})


def test_commands_are_all_on_the_page() -> None:
    rows = read_table(read_page(PAGE), "command | what for")
    assert {match[1] for row in rows if (match := re.match(r"\[`(\w+)`\]", row[0]))} == COMMANDS.keys()


def test_options_are_all_on_the_page() -> None:
    common = read_options("option", "what for")
    assert common == get_client_options()
    assert read_options("option", "by default", "what for") == get_options(bench) - common
    assert get_options(connect) - common <= find_options(read_page(PAGE))


@pytest.mark.parametrize("command", [connect, bench])
def test_each_status_that_is_told_is_one_of_the_same_meaning(command: click.Command) -> None:
    epilog = command.epilog or ""
    told = dict(re.findall(r"^ +(\d) +(.*)$", epilog, re.MULTILINE))
    assert told.keys() == set("012345")
    table = {row[0]: row[1].replace("`", "") for row in read_table(read_page(PAGE), "status | meaning")}
    if command is connect:
        assert told == {status: text for status, text in table.items() if status.isdigit()}
    assert "130, 141, 143" in table


def test_commands_of_the_prompt_are_those_of_its_help() -> None:
    rows = read_table(read_page(PAGE), "command | what it does")
    assert [row[0].strip("`") for row in rows] == re.findall(r"^(/.*?)  ", _HELP, re.MULTILINE)


def test_history_is_where_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    place = str(history_path()).replace(str(Path.home()), "~")
    assert f"`{place}`" in read_page(PAGE)
