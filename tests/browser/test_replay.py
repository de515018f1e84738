"""The package's replay.js in a real browser, before a server that says what a test wants it to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import watch_page
from tests.core.wire import BINARY, CLOSE, build_close, build_frame
from tests.entrances.phoenix import Phoenix, Script
from tests.entrances.replays import MARK, agree, replay, resume, resumed, said
from tests.entrances.scripted import Visit, reset, text
from ws4py_middleware import browser as files

pytestmark = pytest.mark.browser

PAGE = "<!doctype html><title>replay</title><link rel=icon href=data:,><script src=/replay.js></script>"
MODULE = PAGE.replace("<script src=/replay.js>", "<script type=module>import '/replay.js'; window.ready = 1")

#: Opens a socket that writes down all that it tells.
OPEN = """(options) => {
    const told = (window.told = []);
    const decode = (data) => data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data;
    window.states = [];
    window.ws = new ReplaySocket("/ws", {
        onmessage: ({ data, room, id }) => told.push([room ?? null, id ?? null, decode(data)]),
        ongap: (room) => told.push(["gap", room]),
        onclose: ({ code, reason }) => told.push(["closed", code, reason]),
        onstate: (state) => states.push(state),
        initial: 0.02, maximum: 0.2, ...options,
    });
}"""


class House(Phoenix):
    """Serves a page with the file, and answers its WebSockets."""

    def open(self, *scripts: Script) -> None:
        """Come up; each WebSocket has the next script."""
        sockets: list[Visit] = []

        def serve(visit: Visit) -> None:
            visit.read_request()
            path = visit.request.split(b" ", 2)[1].decode()
            if path.startswith("/ws"):
                sockets.append(visit)
                scripts[min(len(sockets), len(scripts)) - 1](visit)
                return
            self.visits.remove(visit)
            body = {"/": PAGE, "/module": MODULE, "/replay.js": files.text("replay.js")}[path].encode()
            kind = "text/javascript" if path.endswith(".js") else "text/html"
            head = [
                f"Content-Type: {kind}; charset=utf-8",
                f"Content-Length: {len(body)}",
                "Connection: close",
            ]
            visit.send("\r\n".join(["HTTP/1.1 200 OK", *head, "", ""]).encode() + body)

        self.start(serve, parallel=True)

    @property
    def asked(self) -> list[Any]:
        return resumed([visit for visit in self.visits if hasattr(visit, "resume")])


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with contextlib.closing(browser.new_context()) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext, problems: list[str], house: House) -> Page:
    page = context.new_page()
    watch_page(page, f"http://127.0.0.1:{house.port}", problems)
    page.set_default_timeout(10_000)
    return page


def visit(page: Page, house: House, *scripts: Script, path: str = "/", **options: Any) -> None:
    """Load the page, and open the socket."""
    house.open(*scripts)
    page.goto(f"http://127.0.0.1:{house.port}{path}")
    page.evaluate(OPEN, options)


def told(page: Page, count: int) -> Any:
    """Wait until so much was told; return it."""
    page.wait_for_function("(count) => told.length >= count", arg=count)
    return page.evaluate("told")


def wait_state(page: Page, state: str) -> None:
    page.wait_for_function("(state) => ws.state === state", arg=state)


def forgive(problems: list[str]) -> None:
    """Chromium writes a line when a connection is refused, or cut; there must be no other."""
    others = [line for line in problems if "WebSocket connection to" not in line and "ERR_" not in line]
    problems[:] = others


def test_nothing_is_missed_and_nothing_comes_twice(page: Page, house: House, problems: list[str]) -> None:
    one, two, three = (said(room="a", id=f"1-{n}", data=f"{n} é") for n in (1, 2, 3))
    early = said(room="b", key="k", data="early")
    visit(
        page,
        house,
        replay(one, two, early, text("direct"), text("\x1e\x1eso"), build_frame(BINARY, b"\0\xff")),
    )
    assert told(page, 6) == [
        ["a", "1-1", "1 é"],
        ["a", "1-2", "2 é"],
        ["b", None, "early"],
        [None, None, "direct"],
        [None, None, "\x1eso"],
        [None, None, [0, 255]],
    ]
    house.stop()
    wait_state(page, "waiting")
    page.wait_for_timeout(100)  # some attempts that nobody answers
    late = said(room="b", id="9", key="k", data="early")
    gap = said(room="a", gap=True)
    house.open(
        replay(one, two, late, three, end=1012),
        replay(gap, said(room="a", id="2-1", base64="AAH/"), end=1001),
    )
    assert told(page, 9)[6:] == [["a", "1-3", "3 é"], ["gap", "a"], ["a", "2-1", [0, 1, 255]]]
    page.wait_for_function("states.filter((state) => state === 'open').length > 4")
    assert len(told(page, 9)) > 9  # the last script goes on
    assert house.asked[:4] == [{}, {"a": "1-2"}, {"a": "1-3", "b": "9"}, {"a": "2-1", "b": "9"}]
    assert all(line == ["gap", "a"] for line in told(page, 9)[9:])
    forgive(problems)


def test_places_and_leaving(page: Page, house: House) -> None:
    frames = [
        said(room="a", id="4-0"),
        said(room="b", id="4-1"),
        said(room="c", data="x"),
        said(room="a", left=True),
    ]
    visit(page, house, replay(*frames, said(later="version"), said(), text("done")), positions={"z": "1"})
    assert told(page, 2) == [["c", None, "x"], [None, None, "done"]]
    assert page.evaluate("ws.positions") == {"z": "1", "b": "4-1"}
    assert house.asked == [{"z": "1"}]


def test_what_is_sent_while_it_is_away_goes_out_in_order_behind_the_question(
    page: Page, house: House, problems: list[str]
) -> None:
    heard: list[tuple[int, bytes]] = []

    def listen(visit: Visit) -> None:
        agree(visit)
        resume(visit)
        heard.extend(visit.read_frame() for _ in range(5))
        visit.send(text("heard"))
        visit.echo()

    visit(page, house, replay(said(room="a", id="1", data="x")), maxQueue=100)
    told(page, 1)
    assert page.evaluate("ws.send('now')") is True
    assert told(page, 2)[1] == [None, None, "now"]
    house.stop()
    wait_state(page, "waiting")
    sends = [
        "ws.send('\\x1eone')",
        "ws.send(new Uint8Array([0, 255]))",
        "ws.send('three')",
        "ws.send('x'.repeat(50))",
    ]
    assert page.evaluate(f"[{', '.join(sends)}]") == [True, True, True, False]
    page.evaluate("void (ws.onopen = () => { ws.onopen = null; ws.send('first'); })")
    page.evaluate("ws.send('four')")
    house.open(listen)
    assert told(page, 3)[2] == [None, None, "heard"]
    payloads = [payload for _, payload in heard]
    assert payloads == [b"first", b"\x1e\x1eone", b"\0\xff", b"three", b"four"]
    assert [opcode for opcode, _ in heard] == [1, 1, 2, 1, 1]
    assert page.evaluate("[ws.queue.length, ws.queued]") == [0, 0]
    forgive(problems)


def closes(code: int | None) -> Script:
    def script(visit: Visit) -> None:
        agree(visit)
        visit.resume = resume(visit)  # type: ignore[attr-defined]
        visit.send(build_close(code, b"why") if code else bytes((0x88, 0)))
        while visit.read_frame()[0] != CLOSE:
            pass

    return script


@pytest.mark.parametrize("code", [1000, None, 1002, 1003, 1007, 1008, 1009, 3000, 4000, 4999])
def test_an_end_that_is_meant_is_the_end(page: Page, house: House, code: int | None) -> None:
    visit(page, house, closes(code))
    assert told(page, 1) == [["closed", code or 1005, "why" if code else ""]]
    assert page.evaluate("[ws.state, ws.send('x'), ws.retry() ?? null]") == ["closed", False, None]
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_timeout(100)
    assert len(house.visits) == 1
    assert page.evaluate("states") == ["connecting", "open", "closed"]


def cut(visit: Visit) -> None:
    agree(visit)
    resume(visit)
    reset(visit)


@pytest.mark.parametrize("end", [1001, 1011, 1012, 1013, 1014, None])
def test_after_any_other_end_it_comes_back(
    page: Page, house: House, problems: list[str], end: int | None
) -> None:
    visit(page, house, closes(end) if end else cut, replay(text("again")))
    assert told(page, 1) == [[None, None, "again"]]
    assert page.evaluate("states") == ["connecting", "open", "waiting", "connecting", "open"]
    forgive(problems)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "{",
        "null",
        '{"room": 1, "data": "x"}',
        '{"room": "a", "data": 1}',
        '{"room": "a", "base64": "?"}',
        '{"room": "a", "base64": null}',
        '{"room": "a", "id": 5}',
        '{"room": "a", "id": "' + "1" * 65 + '"}',
    ],
)
def test_a_server_that_breaks_the_protocol_is_left(page: Page, house: House, payload: str) -> None:
    codes: list[bytes] = []

    def talk(visit: Visit) -> None:
        agree(visit)
        resume(visit)
        visit.send(
            said(room="a", id="1", data="good") + text(MARK + payload) + said(room="a", id="2", data="behind")
        )
        codes.append(visit.answer_close())

    visit(page, house, talk)
    assert told(page, 2) == [["a", "1", "good"], ["closed", 4002, "that is not ws4py.replay.v1"]]
    assert page.evaluate("[ws.state, ws.positions]") == ["closed", {"a": "1"}]
    assert len(house.visits) == 1
    assert codes[0][:2] == (4002).to_bytes(2, "big")


def test_positions_survive_a_reload(page: Page, house: House) -> None:
    visit(
        page, house, replay(said(room="a", id="1", data="x")), replay(said(room="b", id="7")), storage="chat"
    )
    told(page, 1)
    page.reload()
    page.evaluate(OPEN, {"storage": "chat", "positions": {"ignored": "1"}})
    page.wait_for_function("ws.positions.b === '7'")
    page.reload()
    page.evaluate(OPEN, {"storage": "other", "positions": {"c": "3"}})
    wait_state(page, "open")
    page.evaluate("ws.close()")
    told(page, 1)
    assert house.asked == [{}, {"a": "1"}, {"c": "3"}]


def test_application_may_close_and_retry_and_go_elsewhere(page: Page, house: House) -> None:
    visit(page, house, closes(1012), replay(), initial=60, maximum=60)
    wait_state(page, "waiting")
    page.evaluate("ws.url = () => `http://${location.host}/ws?again`")
    page.evaluate("ws.retry()")
    wait_state(page, "open")
    assert b"GET /ws?again HTTP" in house.visits[1].request
    page.evaluate("ws.close(4001, 'enough')")
    assert told(page, 1) == [["closed", 4001, "enough"]]
    page.evaluate("ws.close()")
    assert len(told(page, 1)) == 1

    page.evaluate(OPEN, {"initial": 60, "maximum": 60})  # and one that waits
    wait_state(page, "open")
    house.stop()
    wait_state(page, "waiting")
    page.evaluate("ws.close()")
    assert told(page, 1) == [["closed", 1000, ""]]


def test_network_that_is_back_is_used_at_once(page: Page, house: House, problems: list[str]) -> None:
    visit(page, house, replay(), initial=60, maximum=60)
    wait_state(page, "open")
    page.evaluate("dispatchEvent(new Event('offline'))")
    wait_state(page, "waiting")
    page.evaluate("dispatchEvent(new Event('online'))")
    wait_state(page, "open")
    page.evaluate("ws.lost(ws.socket, { code: 1006 })")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")
    wait_state(page, "open")
    assert len(house.visits) == 3


def test_what_is_asked_for_is_bounded(page: Page, house: House) -> None:
    rooms = {f"{number:04}" + "鳥" * 196: "1-" + "0" * 62 for number in range(1000)}
    visit(page, house, replay(text("done")), positions=rooms)
    lines = told(page, 2)
    assert lines[-1] == [None, None, "done"]
    missed = [room for gap, room in lines[:-1] if gap == "gap"]
    assert missed + list(house.asked[0]) == list(rooms)


def test_module_imports_it(page: Page, house: House) -> None:
    house.open(replay(said(room="a", id="1", data="x")))
    page.goto(f"http://127.0.0.1:{house.port}/module")
    page.wait_for_function("window.ready")
    page.evaluate(OPEN, {})
    assert told(page, 1) == [["a", "1", "x"]]
