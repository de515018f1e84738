"""
Real browsers chat in examples/flask_chat under stock gunicorn, one worker of each class.

Chromium is Debian's; Playwright only drives it. Every person has a browser context of their own, as if
they sat at different machines, and each test has a room of its own.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import watch_page
from tests.drivers.redisserver import redis_server
from tests.servers import ROOT, Server, free_port, start, wait_for

pytestmark = pytest.mark.browser

EXAMPLE = ROOT / "examples" / "flask_chat"
KINDS = ("gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent")
Enter = Callable[..., Page]


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with chat(request.param, tmp_path_factory.mktemp("server")) as server:
        yield server
        assert "Traceback" not in server.log
        assert "WORKER TIMEOUT" not in server.log


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    return re.sub(r"\W+", "-", request.node.originalname.removeprefix("test_"))


@pytest.fixture
def enter(browser: Browser, server: Server, room: str, problems: list[str]) -> Iterator[Enter]:
    """A function that opens the room for somebody, and returns their page when it is online."""
    contexts: list[BrowserContext] = []

    def enter(name: str, room: str = room, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        return visit(context, f"{server.url}/chat/{room}", name, problems)

    yield enter
    for context in contexts:
        context.close()


def chat(kind: str, directory: Path, port: int | None = None, *more: str, **env: str) -> Any:
    bind = ("--bind", f"127.0.0.1:{port}") if port else ()
    options = ("--chdir", str(EXAMPLE), *bind, *more)
    return start(kind, "app:app", options=options, directory=directory, env=env)


def visit(context: BrowserContext, url: str, name: str, problems: list[str]) -> Page:
    """Open a room under a name; what goes wrong in the page, or leaves for another host, is a problem."""
    context.add_init_script(f"sessionStorage.getItem('name') ?? sessionStorage.setItem('name', {name!r})")
    page = context.new_page()
    watch_page(page, url, problems, name)
    page.goto(url)
    expect_state(page, "online")
    return page


def expect_state(page: Page, state: str, timeout: float = 15_000) -> None:
    expect(page.locator("#status")).to_have_attribute("data-state", state, timeout=timeout)


def expect_people(page: Page, *names: str) -> None:
    expect(page.locator("#people-list .label")).to_have_text(list(names))


def say(page: Page, text: str) -> None:
    page.locator("#text").fill(text)
    page.locator("#text").press("Enter")


def heard(page: Page) -> Any:
    return page.locator("#log .group:not(.own) .text")


def wait_told(page: Page, count: int) -> None:
    """Wait until a page was told so many messages."""
    # Not by wait_for_function(), which the page's Content-Security-Policy forbids.
    wait_for(lambda: page.evaluate("told.length") >= count, 30, f"{count} messages")


def said(page: Page) -> Any:
    return page.locator("#log .own .text")


def test_two_people_talk_in_a_room(enter: Enter) -> None:
    ada, grace = enter("Ada"), enter("Grace")
    expect_people(ada, "Ada", "Grace")
    expect_people(grace, "Grace", "Ada")
    expect(ada.locator("#log .notice")).to_have_text(["Grace came in"])

    say(ada, "Hello, Grace!")
    expect(heard(grace)).to_have_text(["Hello, Grace!"])
    expect(said(ada)).to_have_text(["Hello, Grace!"])
    say(grace, "Hello, Ada!")
    expect(heard(ada)).to_have_text(["Hello, Ada!"])
    expect(ada.locator("#log .who bdi")).to_have_text(["You", "Grace"])
    expect(ada.locator("#text")).to_have_value("")


def test_typing_is_shown_and_ends(enter: Enter) -> None:
    ada, grace = enter("Ada"), enter("Grace")
    expect_people(ada, "Ada", "Grace")
    shown = ada.locator("#typing.on")

    grace.locator("#text").press_sequentially("So")
    expect(shown).to_have_text("Grace is typing")
    expect(ada.locator("#people-list .dots")).to_have_count(1)
    grace.locator("#text").fill("")
    expect(shown).to_have_count(0)

    grace.locator("#text").press_sequentially("So it")
    expect(shown).to_have_text("Grace is typing")
    grace.locator("#text").press("Enter")
    expect(heard(ada)).to_have_text(["So it"])
    expect(shown).to_have_count(0)
    expect(grace.locator("#typing.on")).to_have_count(0)


def test_markup_stays_text(enter: Enter) -> None:
    attack = "<script>document.title = 'broken'</script><img src=x onerror=\"document.title = 'broken'\">"
    ada, grace = enter("<b>Ada</b>"), enter("Grace")
    say(ada, attack)
    expect(heard(grace)).to_have_text([attack])
    expect(grace.locator("#log .who bdi")).to_have_text(["<b>Ada</b>"])
    expect_people(grace, "Grace", "<b>Ada</b>")
    say(ada, "see https://example.com/?a=<b>&c and javascript:alert(1)")
    expect(heard(grace)).to_have_count(2)
    assert grace.locator("#log script, #log img, #log b, #people b").count() == 0
    links = grace.locator("#log a")
    assert [link.get_attribute("href") for link in links.all()] == ["https://example.com/?a="]
    expect(grace).not_to_have_title(re.compile("broken"))


def test_markup_in_the_name_of_a_room_stays_text(enter: Enter) -> None:
    page = enter("Ada", room="%3Cb%3Ebold%22%3E")
    expect(page.locator("h1")).to_have_text('#<b>bold">')
    assert page.locator("h1 b, #room-list b").count() == 0
    say(page, "works")
    expect(said(page)).to_have_text(["works"])


def test_another_room_hears_nothing(enter: Enter, room: str) -> None:
    ada, grace, linus = enter("Ada"), enter("Grace"), enter("Linus", room=f"{room}-2")
    say(ada, "Between us")
    expect(heard(grace)).to_have_text(["Between us"])
    # What is said here comes after what was said there: had that come, it would be in the page by now.
    say(linus, "Alone?")
    expect(said(linus)).to_have_text(["Alone?"])
    assert heard(linus).count() == 0
    expect_people(linus, "Linus")
    expect_people(ada, "Ada", "Grace")


def test_closing_a_tab_updates_who_is_here(enter: Enter) -> None:
    ada, grace = enter("Ada"), enter("Grace")
    expect_people(ada, "Ada", "Grace")
    grace.locator("#text").press_sequentially("Well")
    expect(ada.locator("#typing.on")).to_have_count(1)
    grace.close()
    expect_people(ada, "Ada")
    expect(ada.locator("#log .notice").last).to_have_text("Grace left")
    expect(ada.locator("#typing.on")).to_have_count(0)


def test_name_is_changed_for_all_and_remembered(enter: Enter) -> None:
    ada, grace = enter("Ada"), enter("Grace")
    expect_people(grace, "Grace", "Ada")
    ada.locator("#me").click()
    ada.locator("#name").fill("Countess")
    ada.locator("#name").press("Enter")
    expect(ada.locator("#my-name")).to_have_text("Countess")
    expect_people(grace, "Grace", "Countess")
    expect(grace.locator("#log .notice").last).to_have_text("Ada is now Countess")
    ada.reload()
    expect(ada.locator("#my-name")).to_have_text("Countess")

    ada.locator("#me").click()
    ada.locator("#name").fill("grace")  # somebody has it
    ada.get_by_role("button", name="Save").click()
    expect(ada.locator("#my-name")).to_have_text("grace 2")


def test_history_is_there_for_who_comes_later(enter: Enter) -> None:
    ada = enter("Ada")
    expect(ada.locator("#empty")).to_be_visible()
    texts = ["one", "two", "three"]
    for text in texts:
        say(ada, text)
    expect(said(ada)).to_have_text(texts)
    expect(ada.locator("#empty")).to_be_hidden()
    grace = enter("Grace")
    expect(heard(grace)).to_have_text(texts)
    expect(grace.locator("#log .group")).to_have_count(1)  # grouped: one name, one time
    ada.reload()
    expect(said(ada)).to_have_text(texts)  # still hers


def test_unread_messages_are_in_the_title(enter: Enter) -> None:
    ada, grace = enter("Ada"), enter("Grace")
    title = ada.title()
    # A headless page always has the focus; tell it otherwise.
    ada.evaluate("document.hasFocus = () => false")
    say(grace, "one")
    say(grace, "two")
    expect(ada).to_have_title(f"● (2) {title}")
    ada.evaluate("delete document.hasFocus; dispatchEvent(new Event('focus'))")
    expect(ada).to_have_title(title)


def test_keyboard_is_enough(enter: Enter) -> None:
    ada = enter("Ada")
    expect(ada.locator("#text")).to_be_focused()
    ada.keyboard.type("two")
    ada.keyboard.press("Shift+Enter")
    ada.keyboard.type("lines")
    ada.keyboard.press("Enter")
    expect(said(ada)).to_have_text(["two\nlines"], use_inner_text=True)
    ada.locator("#scroller").focus()
    ada.keyboard.press("/")
    expect(ada.locator("#text")).to_be_focused()
    ada.locator("#me").focus()
    ada.keyboard.press("Enter")
    expect(ada.get_by_role("dialog")).to_be_visible()
    ada.keyboard.press("Escape")
    expect(ada.get_by_role("dialog")).to_be_hidden()
    ada.locator("#new-room-name").fill("Ada's new / room")
    ada.keyboard.press("Enter")
    expect(ada.locator("h1")).to_have_text("#ada's-new-room")
    expect(ada.locator("#room-list a[aria-current]")).to_have_text("#ada's-new-room")
    expect_state(ada, "online")


def test_theme_follows_the_system_until_one_is_chosen(enter: Enter) -> None:
    page = enter("Ada", color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(background)
    assert dark != light
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate(background) == dark
    page.reload()
    assert page.evaluate(background) == dark
    expect(page.get_by_role("button", name="Dark theme", pressed=True)).to_be_visible()


def test_phone_shows_all_without_scrolling_sideways(enter: Enter) -> None:
    page = enter("Ada", viewport={"width": 340, "height": 640}, has_touch=True)
    say(page, "W" * 500)
    expect(said(page)).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") == 340
    assert page.evaluate("document.querySelector('#scroller').scrollWidth") <= 340
    page.locator(".to-people").tap()
    expect(page.locator("#people-list")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#people-list")).to_be_hidden()
    page.get_by_role("button", name="Rooms").tap()
    expect(page.get_by_role("link", name="kitchen")).to_be_visible()
    page.get_by_role("link", name="kitchen").tap()
    expect(page.locator("h1")).to_have_text("#kitchen")
    expect_state(page, "online")


@pytest.mark.parametrize("kind", KINDS)
def test_page_comes_back_after_a_restart_of_the_server(browser: Browser, tmp_path: Path, kind: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/chat/lobby"
    ignored: list[str] = []  # refused connections are what happens here
    with browser.new_context() as first, browser.new_context() as second:
        with chat(kind, tmp_path, port):
            ada, grace = visit(first, url, "Ada", ignored), visit(second, url, "Grace", ignored)
            say(ada, "before")
            expect(heard(grace)).to_have_text(["before"])
        expect_state(ada, "waiting")
        expect(ada.locator("#status-text")).to_have_text(re.compile(r"reconnecting in \d+ s"))
        ada.locator("#text").fill("kept")
        ada.locator("#text").press("Enter")
        expect(ada.locator("#toast")).to_contain_text("Not connected")
        expect(ada.locator("#text")).to_have_value("kept")
        with chat(kind, tmp_path, port) as server:
            for page in (ada, grace):
                expect_state(page, "online", timeout=30_000)
            expect_people(ada, "Ada", "Grace")
            ada.locator("#text").press("Enter")
            expect(heard(grace)).to_have_text(["before", "kept"])
            say(grace, "after")
            expect(heard(ada)).to_have_text(["after"])
            assert "Traceback" not in server.log


#: Writes down each message of the server's that a page is told of.
COUNT = """(() => {
    window.told = [];
    const parse = JSON.parse;
    JSON.parse = (text) => {
        const message = parse(text);
        if (message?.type === "said") told.push(message.text);
        return message;
    };
})()"""


@pytest.mark.redis
def test_four_workers_have_one_history_and_a_page_that_was_away_misses_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/chat/lobby"
    ignored: list[str] = []  # refused connections are what happens here
    with redis_server() as redis, contextlib.ExitStack() as stack:
        contexts = [stack.enter_context(browser.new_context()) for _ in range(5)]
        for context in contexts:
            context.add_init_script(COUNT)

        def serve() -> Any:
            return chat("gunicorn-gthread", tmp_path, port, "--workers", "4", REDIS_URL=redis.url)

        with serve() as server:
            names = ("Ada", "Grace", "Linus", "Tim")
            ada, grace, linus, tim = pages = [
                visit(context, url, name, ignored) for context, name in zip(contexts, names, strict=False)
            ]
            for page, text in zip(pages, ("one", "two", "three", "four"), strict=True):
                say(page, text)
                expect(said(page)).to_have_text([text])
            for page in pages:
                wait_told(page, 4)
            contexts[3].set_offline(True)  # Tim's tab is away
            tim.evaluate("dispatchEvent(new Event('offline'))")
            for number in range(60):
                say(ada, f"while Tim is away {number}")
            expect(said(ada)).to_have_count(61)
        expect_state(ada, "waiting")  # and now everybody is, for a while
        with serve() as server:
            contexts[3].set_offline(False)
            for page in pages:
                expect_state(page, "online", timeout=30_000)
            say(linus, "back")
            for page in (ada, grace, linus):
                wait_told(page, 65)
                assert page.evaluate("told") == [
                    *("one", "two", "three", "four"),
                    *(f"while Tim is away {number}" for number in range(60)),
                    "back",
                ]
            # 50 are kept: Tim has the last of them, and nothing twice.
            wait_for(lambda: tim.evaluate("told.at(-1)") == "back", 30, "what was said when Tim was back")
            last = [f"while Tim is away {number}" for number in range(10, 60)]
            texts = tim.evaluate("told")
            assert texts[:4] == ["one", "two", "three", "four"]
            assert texts[4:-1] in (last, last[1:])
            late = visit(contexts[4], url, "Edith", ignored)  # whichever worker she comes to
            expect(late.locator("#log .text")).to_have_text([*last[1:], "back"])
            assert "Traceback" not in server.log
