"""Take the documentation's pictures: a talk in examples/flask_chat, two phones in examples/sensors."""

from __future__ import annotations

import math
import re
import shutil
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.test_sensors import give_sensors, shake, turn
from tests.servers import ROOT, start

SIZE: ViewportSize = {"width": 1280, "height": 800}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
TALK = (
    ("Grace", "Morning! Who wants to hear how we got rid of the second chat server?"),
    ("Ada", "It was one line:\napp.wsgi_app = WebSocketMiddleware(app.wsgi_app, routes)"),
    ("Ada", "The app, the login and the deploy stay as they are."),
    ("Tim", "And the workers? We run plain sync ones."),
    ("Ada", "Still do. One of them holds every open chat, and answers HTTP beside them."),
    ("Hedy", "🎉"),
    ("Grace", "And <script>alert('me')</script> is only text here, by the way."),
)
TYPES = ("Tim", "Then I know what I do with my Friday")


def sit_down(browser: Browser, url: str, name: str, color_scheme: Literal["light", "dark"]) -> Page:
    """Open the first room for somebody who has been in another one before."""
    # The time zone is fixed, as is the rest of what the pictures could give away of this machine.
    context = browser.new_context(
        viewport=SIZE, color_scheme=color_scheme, locale="en-GB", timezone_id="Europe/London"
    )
    context.add_init_script(
        f"localStorage.setItem('name', {name!r}); sessionStorage.setItem('name', {name!r});"
    )
    page = context.new_page()
    page.goto(f"{url}/chat/friday-deploy")
    page.goto(f"{url}/chat/lobby")
    expect(page.locator("#status")).to_have_attribute("data-state", "online")
    return page


def take(directory: Path) -> None:
    """Write ``flask_chat.png`` and ``flask_chat_dark.png`` into a directory."""
    options = ("--chdir", str(ROOT / "examples" / "flask_chat"))
    chromium = shutil.which("chromium")
    with start("gunicorn-sync", "app:app", options=options) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        # Whose page is the picture comes last, and so has nobody coming in on it.
        names = ("Tim", "Hedy", "Grace", "Ada")
        pages = {
            name: sit_down(browser, server.url, name, "dark" if name == "Grace" else "light")
            for name in names
        }
        for count, (name, text) in enumerate(TALK, 1):
            pages[name].fill("#text", text)
            pages[name].press("#text", "Enter")
            for page in pages.values():
                expect(page.locator("#log .text")).to_have_count(count)
        name, text = TYPES
        for viewer, file in (("Ada", "flask_chat.png"), ("Grace", "flask_chat_dark.png")):
            pages[name].fill("#text", "")
            pages[name].locator("#text").press_sequentially(text)
            page = pages[viewer]
            expect(page.locator("#typing.on")).to_have_text(re.compile(name))
            page.screenshot(path=directory / file, animations="disabled", caret="hide")
            check_size(directory / file)
        browser.close()


def take_sensors(directory: Path) -> None:
    """Write ``sensors.png`` into a directory."""
    chromium = shutil.which("chromium")
    with start("script", "examples/sensors/app.py") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        board = browser.new_page(viewport={"width": 1000, "height": 650})
        board.goto(server.url)
        phones = []
        for _ in range(2):
            phone = browser.new_page()
            phone.goto(f"{server.url}/phone")
            phones.append(give_sensors(phone))
            phone.locator("#start").click()
        for step in range(150):
            for index, tools in enumerate(phones):
                turn(tools, 20 + 60 * index, 30 * math.sin(step / 9 + index), 25 * math.cos(step / 7))
                shake(
                    tools,
                    8 * math.sin(step / 4 + index),
                    6 * math.cos(step / 5),
                    9.8 + 3 * math.sin(step / 2),
                )
            board.wait_for_timeout(30)
        board.screenshot(path=directory / "sensors.png")
        check_size(directory / "sensors.png")
        browser.close()


def check_size(picture: Path) -> None:
    size = picture.stat().st_size
    print(f"{picture.name}: {size // 1024} KiB")
    if size > 300_000:
        raise SystemExit(f"{picture.name} is too large for a page of documentation")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    take(target)
    take_sensors(target)
