"""docs/tutorial/index.md, from an empty folder: each command as written, and each look into the browser."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import browser, problems, watch_page
from tests.docs.tutorial import File, perform, read_page
from tests.servers import ROOT, free_port

pytestmark = [pytest.mark.browser, pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(300)]

__all__ = ["browser", "problems"]

PAGE = ROOT / "docs" / "tutorial" / "index.md"
CODE = ROOT / "docs" / "code" / "tutorial"
ADDRESS = "127.0.0.1:8000"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel of this checkout: what the page installs by name is found there."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, folder)
    ignore = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "ws4py_middleware", folder / "ws4py_middleware", ignore=ignore)
    env = {**os.environ, "WS4PY_MIDDLEWARE_PURE": "1"}
    command = [sys.executable, "setup.py", "--quiet", "bdist_wheel", "--dist-dir", "."]
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture
def env(wheels: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has Python and nothing else."""
    programs = tmp_path / "bin"
    programs.mkdir()
    python = programs / "python3"
    python.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    # As in a terminal, where it shows no progress; ours are pipes.
    (programs / ".curlrc").write_text("silent\nshow-error\n", encoding="utf-8")
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    kept = ("HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CACHE_HOME", "SSL_CERT_FILE")
    return {
        **{name: value for name, value in os.environ.items() if name in kept or "proxy" in name.lower()},
        **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        "CURL_HOME": str(programs),
        "PATH": f"{programs}:{system}",
        "PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {wheels}".strip(),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # The wheel has nothing compiled, which is otherwise said in the log.
        "WS4PY_MIDDLEWARE_PURE": "1",
    }


@pytest.fixture
def port(env: dict[str, str]) -> int:
    """The port of the page; where somebody has that one, another, which the environment tells gunicorn."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8000))
        except OSError:
            port = free_port()
            env["GUNICORN_CMD_ARGS"] = f"--bind 127.0.0.1:{port}"
            return port
    return 8000


class Reader:
    """Somebody who follows the page with a browser."""

    def __init__(self, browser: Browser, address: str, problems: list[str]) -> None:
        self.context = browser.new_context()
        self.address = address
        self.problems = problems
        self.pages: list[Page] = []

    def open(self, *paths: str) -> list[Page]:
        """Open windows in place of those that are open."""
        for page in self.pages:
            page.close()
        self.pages = []
        for path in paths:
            assert f"<http://{ADDRESS}{path}>" in PAGE.read_text(encoding="utf-8")
            page = self.context.new_page()
            watch_page(page, f"http://{self.address}", self.problems)
            page.goto(f"http://{self.address}{path}")
            expect(page.locator("#state")).to_have_text("connected")
            self.pages.append(page)
        return self.pages

    def say(self, page: Page, text: str) -> None:
        page.locator("#text").fill(text)
        page.locator("#text").press("Enter")

    def two_windows_talk(self) -> None:
        one, other = self.open("/chat", "/chat")
        self.say(one, "Hello!")
        expect(other.locator("#log li")).to_have_text(["Hello!"])
        self.say(other, "<b>Hello</b> yourself!")
        for page in self.pages:
            expect(page.locator("#log li")).to_have_text(["Hello!", "<b>Hello</b> yourself!"])

    def windows_are_told_that_the_server_goes(self) -> None:
        for page in self.pages:
            expect(page.locator("#state")).to_have_text("disconnected (1001)")

    def rooms_are_separate(self) -> None:
        one, other, third = self.open("/chat/lobby", "/chat/lobby", "/chat/kitchen")
        self.say(one, "Is anybody here?")
        expect(other.locator("#log li")).to_have_text(["Is anybody here?"])
        self.say(third, "Who has taken my cup?")
        expect(third.locator("#log li")).to_have_text(["Who has taken my cup?"])
        expect(one.locator("#log li")).to_have_text(["Is anybody here?"])

    def two_windows_in_the_lobby(self) -> None:
        self.open("/chat/lobby", "/chat/lobby")

    def lunch_is_ready(self) -> None:
        for page in self.pages:
            expect(page.locator("#log li").last).to_have_text("Lunch is ready.")

    def three_windows_hear_each_other(self) -> None:
        first, *_ = self.open(*["/chat/lobby"] * 3)
        names = ["one", "two", "three"]
        for page, name in zip(self.pages, names, strict=True):
            # What somebody says goes out when they have come in everywhere.
            self.say(page, name)
            expect(first.locator("#log li").last).to_have_text(name)
        self.say(first, "all here")
        for page in self.pages:
            expect(page.locator("#log li").last).to_have_text("all here")

    def dinner_is_told(self) -> None:
        for page in self.pages:
            expect(page.locator("#log li").last).to_have_text("Dinner, too.")


@pytest.fixture
def reader(browser: Browser, port: int, problems: list[str]) -> Iterator[Reader]:
    reader = Reader(browser, f"127.0.0.1:{port}", problems)
    yield reader
    reader.context.close()


def test_page_is_true_from_the_first_line_to_the_last(
    tmp_path: Path, env: dict[str, str], port: int, reader: Reader
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    steps = read_page(PAGE)
    plays = {name.replace("_", " "): getattr(reader, name) for name in dir(reader) if "_" in name.strip("_")}
    perform(steps, folder, env, plays, {ADDRESS: f"127.0.0.1:{port}"})
    # Nothing is shown that the reader does not write, and nothing that nobody has run.
    assert {step.source.resolve() for step in steps if isinstance(step, File)} == set(CODE.iterdir())
    assert not re.search(
        r"^```(?!\{literalinclude\}|console|\{code-block\} console|$)",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
