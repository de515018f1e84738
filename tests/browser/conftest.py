"""Debian's Chromium, driven by Playwright, and pages that tell of all that goes wrong in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Watch = Callable[[Page, str], None]


@pytest.fixture(scope="module")  # Playwright keeps a loop running, which other tests must not find
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "these tests need the Debian package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def problems() -> Iterator[list[str]]:
    """What went wrong in the pages that are watched; a test with any fails."""
    problems: list[str] = []
    yield problems
    assert problems == []


@pytest.fixture
def watch(problems: list[str]) -> Watch:
    """A function that notes errors of a page, and requests that leave for another host."""

    def watch(page: Page, url: str) -> None:
        watch_page(page, url, problems)

    return watch


def watch_page(page: Page, url: str, problems: list[str], name: str = "a page") -> None:
    origin = "/".join(url.split("/")[:3])

    def check(address: str) -> None:
        if not address.startswith((origin, "ws" + origin.removeprefix("http"))):
            problems.append(f"{name} asked for {address}")

    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: problems.append(f"{name}: {error}"))
    page.on("console", lambda line: problems.append(f"{name}: {line.text}") if line.type == "error" else None)
    page.on("request", lambda request: check(request.url))
    page.on("websocket", lambda socket: check(socket.url))
