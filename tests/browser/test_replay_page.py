"""The page of docs/howto/replay.md in a real browser: docs/code/replay/page.html."""

from __future__ import annotations

import urllib.request

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Watch
from tests.servers import start

pytestmark = pytest.mark.browser


def test_page_of_the_documentation_shows_what_is_published(browser: Browser, watch: Watch) -> None:
    with start("gunicorn-gthread", "docs.code.replay.app:app") as server:
        page = browser.new_page()
        watch(page, server.url)
        page.goto(server.url)
        page.wait_for_function("ws.positions.prices")
        for price in (b"42", b"43"):
            request = urllib.request.Request(server.url + "/publish", price, method="POST")
            urllib.request.urlopen(request, timeout=5).close()
        expect(page.locator("#prices li")).to_have_text(["prices: 42", "prices: 43"])
        page.evaluate("ws.close()")
        page.close()
        assert "Traceback" not in server.log
