"""examples/sensors: a phone whose sensors Chromium plays, and a board that draws them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.browser.conftest import Watch
from tests.servers import Server, start, wait_for

pytestmark = pytest.mark.browser

OpenPage = Callable[[str], Page]

MOTION = ("accelerometer", "linear-acceleration", "gyroscope")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start("script", "examples/sensors/app.py", directory=tmp_path_factory.mktemp("server")) as server:
        yield server
    assert "Traceback" not in server.log


@pytest.fixture
def open_page(browser: Browser, server: Server, watch: Watch) -> Iterator[OpenPage]:
    """A function that opens one of the pages; all are closed at the end, also of a test that fails."""
    with browser.new_context() as context:

        def open_page(path: str) -> Page:
            page = context.new_page()
            watch(page, server.url)
            page.goto(server.url + path)
            expect(page.locator("#status")).to_have_attribute("data-state", "online")
            return page

        yield open_page


def give_sensors(page: Page) -> CDPSession:
    """Give a page the sensors of a phone, as the developer tools do."""
    tools = page.context.new_cdp_session(page)
    for sensor in MOTION:
        tools.send(
            "Emulation.setSensorOverrideEnabled",
            {"enabled": True, "type": sensor, "metadata": {"available": True}},
        )
    return tools


def turn(tools: CDPSession, alpha: float, beta: float, gamma: float) -> None:
    tools.send(
        "DeviceOrientation.setDeviceOrientationOverride", {"alpha": alpha, "beta": beta, "gamma": gamma}
    )


def shake(tools: CDPSession, x: float, y: float, z: float) -> None:
    for sensor in MOTION:
        tools.send(
            "Emulation.setSensorOverrideReadings",
            {"type": sensor, "reading": {"xyz": {"x": x, "y": y, "z": z}}},
        )


PAINTED = """document.querySelector("canvas").getContext("2d").getImageData(0, 0, 640, 180).data
    .filter((value, index) => index % 4 === 3 && value).length > 100"""


def test_board_draws_what_the_phone_feels(open_page: OpenPage) -> None:
    board = open_page("/")
    expect(board.locator("#empty")).to_be_visible()
    phone = open_page("/phone")
    card = board.locator(".card")
    expect(card).to_have_count(1)
    expect(board.locator("#empty")).to_be_hidden()
    expect(card.locator("h2")).to_have_text(phone.locator("#name").inner_text())

    tools = give_sensors(phone)
    phone.locator("#start").click()
    expect(phone.locator("#values")).to_be_visible()  # it listens from now on
    turn(tools, 10, 20, 30)
    expect(card.locator("[data-axis]")).to_have_text(["10.0°", "20.0°", "30.0°"])
    expect(phone.locator("#orientation")).to_have_text("10.0 / 20.0 / 30.0°")
    first = card.locator(".device").evaluate("d => d.style.transform")
    turn(tools, 200, -45, 60)
    expect(card.locator("[data-axis]")).to_have_text(["200.0°", "-45.0°", "60.0°"])
    assert card.locator(".device").evaluate("d => d.style.transform") != first

    for step in range(30):
        shake(tools, 9.0 - step, step / 3, 9.81)
    expect(phone.locator("#acceleration")).to_contain_text("9.8 m/s²")
    # Not by wait_for_function(), which the page's Content-Security-Policy forbids.
    wait_for(lambda: bool(board.evaluate(PAINTED)), what="the curves")

    phone.close()
    expect(card).to_have_count(0)
    expect(board.locator("#empty")).to_be_visible()


def test_second_board_begins_with_the_phones_that_are_here(open_page: OpenPage) -> None:
    for path in ("/phone", "/phone"):
        open_page(path)
    expect(open_page("/").locator(".card")).to_have_count(2)


def test_phone_without_permission_sends_nothing(browser: Browser, server: Server, watch: Watch) -> None:
    phone = browser.new_page()
    watch(phone, server.url)
    phone.add_init_script("DeviceOrientationEvent.requestPermission = async () => 'denied'")  # as on iOS
    phone.goto(server.url + "/phone")
    phone.locator("#start").click()
    expect(phone.locator("#hint")).to_contain_text("permission")
    expect(phone.locator("#values")).to_be_hidden()
    phone.close()


@pytest.mark.parametrize(
    "message",
    [
        "tilted",
        "[1, 2, 3]",
        '{"orientation": [1, 2]}',
        '{"orientation": [1, 2, NaN]}',
        '{"orientation": [1, 2, true]}',
        '{"acceleration": [0, 0, 1e9]}',
        '{"temperature": [1, 2, 3]}',
    ],
)
def test_anything_but_a_reading_ends_the_phones_connection(server: Server, message: str) -> None:
    with connect(f"{server.ws_url}/board_socket") as board, connect(f"{server.ws_url}/phone_socket") as phone:
        assert json.loads(board.recv(10))["type"] == "welcome"
        assert json.loads(phone.recv(10))["type"] == "welcome"
        phone.send(message)
        with pytest.raises(ConnectionClosedError) as caught:
            phone.recv(10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008
        kinds = []
        while "left" not in kinds:
            kinds.append(json.loads(board.recv(10))["type"])
        assert "reading" not in kinds
