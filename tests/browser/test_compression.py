"""A broadcast that is compressed once, in a real browser: docs/topics/compression.md's room."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.servers import start

pytestmark = pytest.mark.browser

OPEN = """() => new Promise((resolve, reject) => {
    window.heard = [];
    window.ws = new WebSocket(location.href.replace("http", "ws") + "prices");
    ws.onmessage = ({ data }) => heard.push(data);
    ws.onclose = reject;
    ws.onopen = () => resolve(ws.extensions);
})"""

TEXTS = [f'{{"turn": {turn}, "prices": {[*range(turn, 300)]}, "of": "é"}}' for turn in range(20)]


def test_room_of_the_page_in_browsers(browser: Browser) -> None:
    with start("gunicorn-gthread", "docs.code.compression.prices:app") as server:
        pages: list[Page] = []
        for _ in range(2):
            page = browser.new_context().new_page()
            page.goto(f"{server.url}/")  # there is none, but its address is whose socket it is
            agreed = page.evaluate(OPEN)
            assert agreed.split("; ")[:2] == ["permessage-deflate", "server_no_context_takeover"]
            pages.append(page)
        pages[0].evaluate("(texts) => texts.forEach((text) => ws.send(text))", TEXTS)
        for page in pages:
            page.wait_for_function(f"heard.length == {len(TEXTS)}")
            assert page.evaluate("heard") == TEXTS
            page.context.close()
