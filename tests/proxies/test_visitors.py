"""The documentation's configurations, and its application: what visitors get, and what is known of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator

import pytest
import websockets

from tests.proxies.conftest import Backend
from tests.proxies.programs import KINDS, PROGRAMS, Proxy, start_proxy
from tests.proxies.visits import ADDRESS, KNOWN, check_early_frame, get_page, get_refusal, visiting
from tests.servers import client_context

pytestmark = pytest.mark.proxies

LIES = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}


@pytest.fixture(scope="module", params=KINDS)
def proxy(request: pytest.FixtureRequest, backends: Callable[[str], Backend]) -> Iterator[Proxy]:
    program = PROGRAMS[request.param]
    with start_proxy(request.param, program.at_port(backends(program.app).port)) as running:
        yield running


def test_messages_are_not_held_back(proxy: Proxy) -> None:
    with visiting(proxy, "/echo") as ws:
        assert [ws.ask(text) for text in ("a", "", "bc")] == ["a", "", "bc"]


def test_megabyte_passes_both_ways(proxy: Proxy) -> None:
    with visiting(proxy, "/echo") as ws:
        text = "0123456789" * 100_000
        for _ in range(2):  # more than nginx takes for a body, unless it is told otherwise
            assert ws.ask(text) == text


def test_handler_knows_visitor(proxy: Proxy) -> None:
    with visiting(proxy, "/visitor") as ws:
        assert json.loads(ws.receive()) == KNOWN


def test_visitor_cannot_pretend(proxy: Proxy) -> None:
    with visiting(proxy, "/visitor", headers=LIES) as ws:
        assert json.loads(ws.receive()) == KNOWN


def test_page_knows_visitor(proxy: Proxy) -> None:
    assert get_page(proxy, "/") == f"{ADDRESS} came by https to example.com"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://example.com", "https://example.com:8443"])
def test_page_of_another_site_is_refused(proxy: Proxy, origin: str) -> None:
    assert get_refusal(proxy, "/echo", origin=origin) == 403


def test_frames_behind_the_request_arrive(proxy: Proxy) -> None:
    check_early_frame(proxy)


def test_compression_is_agreed_on(proxy: Proxy) -> None:
    """With ``websockets``, and its asyncio: websocket-client has none."""

    async def ask(text: str) -> tuple[str | bytes, list[str]]:
        url, context = "wss://example.com/compressed", client_context()
        async with websockets.connect(url, sock=proxy.connect(), ssl=context) as ws:
            await ws.send(text)
            return await ws.recv(), [extension.name for extension in ws.protocol.extensions]

    text = "again and " * 10_000
    assert asyncio.run(ask(text)) == (text, ["permessage-deflate"])


@pytest.mark.parametrize("kind", KINDS)
def test_visitor_is_known_through_a_unix_socket(kind: str, backends: Callable[[str], Backend]) -> None:
    program = PROGRAMS[kind]
    with start_proxy(kind, program.at_path(backends(program.app).path)) as proxy:
        with visiting(proxy, "/visitor") as ws:
            assert json.loads(ws.receive()) == KNOWN


@pytest.mark.parametrize("kind", KINDS)
def test_limit_is_for_each_visitor_and_not_for_the_proxy(
    kind: str, backends: Callable[[str], Backend]
) -> None:
    path = "/two-by-line" if kind == "stunnel" else "/two-by-header"
    changes = PROGRAMS[kind].at_port(backends("tests.proxies.app:app").port)
    with start_proxy(kind, changes) as proxy, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(visiting(proxy, path))
        assert get_refusal(proxy, path) == 429
        stack.enter_context(visiting(proxy, path, source="127.0.0.3"))


def test_older_recipe_of_apache_has_an_upgrade_too(backends: Callable[[str], Backend]) -> None:
    """That of ``mod_proxy_wstunnel``, which needs a path of its own."""
    module = "LoadModule proxy_wstunnel_module /usr/lib/apache2/modules/mod_proxy_wstunnel.so"
    changes = {
        "ProxyPass / ": f"{module}\n    ProxyPass /echo ws://127.0.0.1:8000/echo\n    ProxyPass / ",
        **PROGRAMS["apache"].at_port(backends(PROGRAMS["apache"].app).port),
    }
    with start_proxy("apache", changes) as proxy, visiting(proxy, "/echo") as ws:
        assert ws.ask("through a tunnel") == "through a tunnel"
