"""examples/cherrypy_chat: the seeds' chat, in two browsers and from outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.browser.conftest import Watch
from tests.servers import Server, start

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    with start("script", "examples/cherrypy_chat/app.py", directory=directory) as server:
        yield server
    assert "Traceback" not in server.log


def come_in(browser: Browser, server: Server, watch: Watch, name: str) -> Page:
    page = browser.new_context().new_page()
    watch(page, server.url)
    page.goto(server.url)
    page.locator("#name").fill(name)
    page.locator("#name").press("Enter")
    expect(page.locator("#status")).to_have_attribute("data-state", "online")
    return page


def test_two_people_talk(browser: Browser, server: Server, watch: Watch) -> None:
    ada, grace = come_in(browser, server, watch, "Ada"), come_in(browser, server, watch, "Grace")
    expect(ada.locator(".notice").last).to_have_text("Grace came in")
    for text in ("Hello, Grace!", "<script>alert('me')</script>"):
        ada.locator("#text").fill(text)
        ada.locator("#text").press("Enter")
        for page in (ada, grace):
            expect(page.locator(".said .text").last).to_have_text(text)
            expect(page.locator(".said bdi").last).to_have_text("Ada")
    grace.context.close()
    expect(ada.locator(".notice").last).to_have_text("Grace left")
    ada.context.close()


def test_name_is_remembered_by_the_session(browser: Browser, server: Server, watch: Watch) -> None:
    page = come_in(browser, server, watch, "Hedy")
    page.reload()
    expect(page.locator("#status")).to_have_attribute("data-state", "online")
    page.locator(".plain").click()
    expect(page.locator("#name")).to_be_visible()
    page.context.close()


def test_who_has_no_name_gets_403(server: Server) -> None:
    with pytest.raises(InvalidStatus) as caught, connect(f"{server.ws_url}/ws"):
        pass
    assert caught.value.response.status_code == 403
