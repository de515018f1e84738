"""docs/howto/uwsgi.md: nginx before uWSGI, in uWSGI's own protocol; WebSockets pass."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.docs.pages import CODE, read_page
from tests.proxies.programs import Proxy, start_proxy
from tests.proxies.visits import ADDRESS, KNOWN, check_early_frame, get_page, get_refusal, visiting
from tests.servers import free_port, start

pytestmark = pytest.mark.proxies

LOCATION = (CODE / "uwsgi" / "nginx.conf").read_text()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    text = (CODE / "proxies" / "nginx.conf").read_text()
    begin = text.index("        location / {")
    end = text.index("        }\n", begin) + len("        }\n")
    port = free_port()
    # It is asked over HTTP whether it is there. nginx says who has come, and no headers have to be believed.
    options = ["--http-socket", "{address}", "--socket", f"127.0.0.1:{port}", "--threads", "2"]
    changes = {"include ": "include /etc/nginx/", "127.0.0.1:3031": f"127.0.0.1:{port}"}
    location = LOCATION
    for old, new in changes.items():
        assert old in location
        location = location.replace(old, new)
    with start("uwsgi", "docs.code.proxies.app:sockets", options=options):
        with start_proxy("nginx", {text[begin:end]: location}) as running:
            yield running


def test_page_shows_the_configuration() -> None:
    page = read_page("howto/uwsgi")
    assert "{literalinclude} ../code/uwsgi/nginx.conf\n" in page
    assert "socket = 127.0.0.1:3031" in page


def test_messages_pass_both_ways(proxy: Proxy) -> None:
    with visiting(proxy, "/echo") as ws:
        assert [ws.ask(text) for text in ("a", "", "x" * 1_000_000)] == ["a", "", "x" * 1_000_000]


def test_frames_that_come_with_the_request_are_kept(proxy: Proxy) -> None:
    check_early_frame(proxy)


def test_visitor_is_known_and_pages_of_others_are_refused(proxy: Proxy) -> None:
    with visiting(proxy, "/visitor", headers={"X-Forwarded-For": "203.0.113.9"}) as ws:
        assert json.loads(ws.receive()) == KNOWN
    assert get_page(proxy, "/") == f"{ADDRESS} came by https to example.com"
    assert get_refusal(proxy, "/echo", origin="https://evil.example") == 403
