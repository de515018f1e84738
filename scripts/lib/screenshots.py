"""
Take the documentation's pictures of pages: the examples and the tutorial, in a real browser.

    python scripts/lib/screenshots.py docs/images [NAME ...]

The names are those of :data:`PICTURES`; by default all of them are taken.
"""

from __future__ import annotations

import base64
import contextlib
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
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


#: Two browsers beside each other: what each of them shows, and of the frame around them.
WINDOW: ViewportSize = {"width": 520, "height": 400}
LOW: ViewportSize = {"width": 520, "height": 290}
HIGH: ViewportSize = {"width": 520, "height": 460}
FRAMES = """\
<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; display: inline-flex; gap: 24px; padding: 24px; }
  body { background: #e8eaed; font: 13px system-ui; }
  figure { margin: 0; background: #fff; border-radius: 9px; overflow: hidden; box-shadow: 0 2px 10px #0003; }
  figcaption { background: #f6f8fa; color: #59636e; padding: 8px 12px; border-bottom: 1px solid #d1d9e0; }
  i { display: inline-block; width: 10px; height: 10px; border-radius: 5px; }
  i { background: #d1d9e0; margin-right: 5px; }
  img { display: block; width: 520px; }
</style>"""


def visit(browser: Browser, size: ViewportSize, color_scheme: Literal["light", "dark"] = "light") -> Page:
    """Open a browser of somebody's own, which gives nothing of this machine away."""
    context = browser.new_context(
        viewport=size, color_scheme=color_scheme, locale="en-GB", timezone_id="Europe/London"
    )
    return context.new_page()


def save(page: Page, path: Path) -> None:
    page.screenshot(path=path, animations="disabled", caret="hide")
    check_size(path)


def save_windows(browser: Browser, pages: Sequence[Page], address: str, path: Path) -> None:
    """Take what some browsers show, and put it side by side, each with the address above it."""
    figures = []
    for page in pages:
        shot = base64.b64encode(page.screenshot(animations="disabled", caret="hide")).decode()
        image = f'<img src="data:image/png;base64,{shot}">'
        figures.append(
            f"<figure><figcaption><i></i><i></i><i></i> {escape(address)}</figcaption>{image}</figure>"
        )
    frame = browser.new_page(viewport={"width": 1400, "height": 600})
    frame.set_content(FRAMES + "".join(figures))
    frame.wait_for_function("[...document.images].every((image) => image.complete)")
    frame.locator("body").screenshot(path=path)
    frame.close()
    check_size(path)


def sit_down(browser: Browser, url: str, name: str, color_scheme: Literal["light", "dark"]) -> Page:
    """Open the first room for somebody who has been in another one before."""
    page = visit(browser, SIZE, color_scheme)
    page.add_init_script(f"localStorage.setItem('name', {name!r}); sessionStorage.setItem('name', {name!r});")
    page.goto(f"{url}/chat/friday-deploy")
    page.goto(f"{url}/chat/lobby")
    expect(page.locator("#status")).to_have_attribute("data-state", "online")
    return page


def take_flask_chat(browser: Browser, directory: Path) -> None:
    """Write ``flask_chat.png`` and ``flask_chat_dark.png``: four people talk."""
    options = ("--chdir", str(ROOT / "examples" / "flask_chat"))
    with start("gunicorn-sync", "app:app", options=options) as server:
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
            save(page, directory / file)


def take_sensors(browser: Browser, directory: Path) -> None:
    """Write ``sensors.png``: two phones move."""
    with start("script", "examples/sensors/app.py") as server:
        board = visit(browser, {"width": 1000, "height": 650})
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
        save(board, directory / "sensors.png")


def take_tutorial(browser: Browser, directory: Path) -> None:
    """Write ``tutorial_chat.png``: the tutorial's first chat, in two windows."""
    code = ROOT / "docs" / "code" / "tutorial"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "static").mkdir()
        shutil.copy(code / "app_1.py", folder / "app.py")
        shutil.copy(code / "chat.html", folder / "static")
        with start("gunicorn-sync", "app:app", options=("--chdir", name)) as server:
            pages = [visit(browser, LOW) for _ in range(2)]
            for page in pages:
                page.goto(f"{server.url}/chat")
                expect(page.locator("#state")).to_have_text("connected")
            talk = ("Is anybody there?", "I am, in the window beside yours.", "It works!")
            for count, text in enumerate(talk, 1):
                speaker = pages[(count + 1) % 2]
                speaker.fill("#text", text)
                speaker.press("#text", "Enter")
                for page in pages:
                    expect(page.locator("#log li")).to_have_count(count)
            save_windows(browser, pages, "127.0.0.1:8000/chat", directory / "tutorial_chat.png")


def take_cherrypy_chat(browser: Browser, directory: Path) -> None:
    """Write ``cherrypy_chat.png``: two who have said their names at the door."""
    with start("script", "examples/cherrypy_chat/app.py") as server:
        pages = {}
        for name in ("Ada", "Grace"):
            page = pages[name] = visit(browser, WINDOW)
            page.goto(server.url)
            page.fill("#name", name)
            page.press("#name", "Enter")
            expect(page.locator("#status")).to_have_attribute("data-state", "online")
        expect(pages["Ada"].locator(".notice").last).to_have_text("Grace came in")
        for count, (name, text) in enumerate(
            (
                ("Ada", "The page handler knows your name from the session."),
                ("Grace", "And what I say goes over CherryPy's bus?"),
                ("Ada", "To everybody: engine.publish('websocket-broadcast', …)"),
            ),
            1,
        ):
            pages[name].fill("#text", text)
            pages[name].press("#text", "Enter")
            for page in pages.values():
                expect(page.locator(".said .text")).to_have_count(count)
        save_windows(browser, [*pages.values()], "127.0.0.1:9000", directory / "cherrypy_chat.png")


def take_django_chat(browser: Browser, directory: Path) -> None:
    """Write ``django_chat.png``: two who have joined by Django's own forms."""
    example = ROOT / "examples" / "django_chat"
    with tempfile.TemporaryDirectory() as folder:
        env = {"DATABASE": f"{folder}/db.sqlite3", "PYTHONPATH": f"{example}{os.pathsep}{ROOT}"}
        migrate = [sys.executable, str(example / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(migrate, env={**os.environ, **env}, check=True)
        with start("gunicorn-gthread", "project.wsgi:application", env=env) as server:
            pages = {name: join(browser, server.url, name) for name in ("ada", "grace")}
            for count, (name, text) in enumerate(
                (
                    ("ada", "No session, no upgrade."),
                    ("grace", "I logged in with the form that the admin has."),
                    ("ada", "And the ORM keeps what we say."),
                ),
                1,
            ):
                pages[name].fill("#text", text)
                pages[name].press("#text", "Enter")
                for page in pages.values():
                    expect(page.locator("#log li")).to_have_count(count)
            save_windows(
                browser, [*pages.values()], "127.0.0.1:8000/chat/lobby/", directory / "django_chat.png"
            )


def join(browser: Browser, url: str, name: str) -> Page:
    """Become a user of the Django site."""
    page = visit(browser, HIGH)
    page.goto(f"{url}/join/")
    page.fill("[name=username]", name)
    for field in ("password1", "password2"):
        page.fill(f"[name={field}]", "correct horse battery")
    page.press("[name=password2]", "Enter")
    expect(page.locator("#status")).to_have_attribute("data-state", "online")
    return page


#: What takes which picture.
PICTURES: Mapping[str, Callable[[Browser, Path], None]] = {
    "flask_chat": take_flask_chat,
    "sensors": take_sensors,
    "tutorial_chat": take_tutorial,
    "cherrypy_chat": take_cherrypy_chat,
    "django_chat": take_django_chat,
}


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


def check_size(picture: Path) -> None:
    size = picture.stat().st_size
    print(f"{picture.name}: {size // 1024} KiB")
    if size > 300_000:
        raise SystemExit(f"{picture.name} is too large for a page of documentation")


if __name__ == "__main__":
    target, *wanted = sys.argv[1:]
    if unknown := [name for name in wanted if name not in PICTURES]:
        raise SystemExit(f"there is no picture {unknown[0]!r}; there are {', '.join(PICTURES)}")
    Path(target).mkdir(parents=True, exist_ok=True)
    for each in wanted or PICTURES:
        with open_browser() as chromium:
            PICTURES[each](chromium, Path(target))
