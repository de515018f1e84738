"""docs/howto/doctor.md: its tables are the code's, and its outputs are what the doctor says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from scripts.lib.doctor_table import fill_in
from tests.docs.pages import CODE, read_page
from tests.proxies.programs import start_proxy
from tests.servers import ROOT, certificates, start
from ws4py_middleware.cli.doctor.findings import find
from ws4py_middleware.cli.doctor.kinds import KINDS

PAGE = read_page("howto/doctor")

#: What the page shows: app.py, and sick.py.
FOLDER = CODE / "doctor"

#: Where the page's site is, which has a proxy that the test runs.
SITE = "wss://shop.example.com/"


def read_outputs() -> Iterator[tuple[str, str]]:
    """Give each command of the page that is shown with its output."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        command, _, output = block.partition("\n")
        if output and not output.startswith("$"):
            yield command.removeprefix("$ ws4py-middleware doctor "), output


OUTPUTS = dict(read_outputs())


def plain(text: str) -> str:
    """Leave out what is not always the same: numbers, and where lines end."""
    return " ".join(re.sub(r"\d+(\.\d+)?", "0", text).split())


def run(*words: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "WS4PY_MIDDLEWARE_PURE": ""}
    env.pop("COLUMNS", None)  # the page is as wide as it is
    command = [sys.executable, "-m", "ws4py_middleware", "doctor", *words]
    done = subprocess.run(
        command, cwd=FOLDER, env=env, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_tables_of_the_page_are_those_of_the_code() -> None:
    assert fill_in(PAGE) == PAGE, "python -m scripts.lib.doctor_table writes them"


def test_page_has_outputs_to_compare() -> None:
    assert len(OUTPUTS) == 4


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in OUTPUTS if SITE not in line])
def test_output_on_the_page_is_what_the_doctor_says(line: str) -> None:
    assert plain(run(*shlex.split(line))) == plain(OUTPUTS[line])


@pytest.mark.slow
@pytest.mark.proxies
def test_output_about_a_site_is_what_the_doctor_says() -> None:
    [line] = [line for line in OUTPUTS if SITE in line]
    with start("gunicorn-gthread", "docs.code.doctor.app:app") as server:
        changes = {
            "127.0.0.1:8000": f"127.0.0.1:{server.port}",
            "proxy_set_header Upgrade $http_upgrade;": "",
        }
        with start_proxy("nginx", changes) as proxy:
            here = f"wss://localhost:{proxy.port}/"
            shown = run("--ca", str(certificates()[2]), line.replace(SITE, here))
    assert plain(shown.replace(here, SITE)) == plain(OUTPUTS[line])


# --- the table -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", KINDS)
def test_find_fills_in_all_that_a_kind_asks_for(code: str) -> None:
    kind = KINDS[code]
    texts = f"{kind.what} {kind.why} {kind.do}".replace("{{", "").replace("}}", "")
    facts = {name: f"<{{{name}}}`>" for name in re.findall(r"\{(\w+)(?:![rs])?\}", texts)}
    found = find(code, **facts)
    assert (found.level, found.code) == (kind.level, code)
    # What is filled in is neither a template nor code.
    assert all(value in found.what + found.why + found.do for value in facts.values())
    assert bool(found.do) == (kind.level.value in ("warn", "bad")) or kind.level.value == "info"


def test_find_takes_other_words_for_why_and_what_to_do() -> None:
    found = find("no_pong", seconds=1, why="because of {this}", do="do `that`")
    assert (found.why, found.do) == ("because of {this}", "do `that`")
