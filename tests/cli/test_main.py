"""The program itself: its commands, its version, what it says without its extra."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import click
import pytest
import tomli

from tests.servers import ROOT
from ws4py_middleware import __version__
from ws4py_middleware.cli import main
from ws4py_middleware.cli.group import COMMANDS, cli

WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from ws4py_middleware.cli import main
main(["--help"])
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], check=False, capture_output=True, text=True, cwd=ROOT
    )


def test_module_is_the_program() -> None:
    result = run("-m", "ws4py_middleware", "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"ws4py_middleware {__version__} (")
    assert "Python" in result.stdout


def test_script_is_the_same_program() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        scripts = tomli.load(file)["project"]["scripts"]
    assert scripts == {"ws4py-middleware": "ws4py_middleware.cli:main"}
    assert main.__module__ == "ws4py_middleware.cli"


def test_each_command_loads_and_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with click.Context(cli) as ctx:
        names = cli.list_commands(ctx)
        assert all(isinstance(cli.get_command(ctx, name), click.Command) for name in names)
    assert set(names) <= COMMANDS.keys()
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in names)


def test_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["conect"])
    assert ended.value.code == 2
    assert "No such command 'conect'" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["click", "rich"])
def test_missing_extra_is_one_sentence(package: str) -> None:
    result = run("-c", WITHOUT, package)
    sentence = f'the command line needs {package}: pip install "ws4py_middleware[cli]"\n'
    assert (result.returncode, result.stdout, result.stderr) == (2, "", sentence)


def test_reader_that_goes_away_is_told_by_the_status() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        result = subprocess.run(
            [sys.executable, "-m", "ws4py_middleware", "--help"],
            check=False,
            stdout=pipe,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
    assert (result.returncode, result.stderr) == (141, b"")


def test_program_without_input_and_output_has_none() -> None:
    command = shlex.join([sys.executable, "-m", "ws4py_middleware", "connect", "ws://127.0.0.1:1/"])
    result = subprocess.run(
        ["bash", "-c", f"{command} <&- >&-"], check=False, stderr=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert result.returncode == 4
    assert result.stderr.startswith("cannot connect: ")
