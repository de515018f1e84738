from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.responses import PlainTextResponse

from tests.testing import site
from ws4py_middleware import WebSocketASGI
from ws4py_middleware.testing import HandshakeRefused, NoMessage, WebSocketTestClient


@pytest.fixture
def client() -> Iterator[WebSocketTestClient]:
    with WebSocketTestClient(site.asgi) as client:
        yield client
    site.ENDS.clear()
    site.LIFE.clear()


@pytest.mark.parametrize("path", ["/echo", "/async-echo", "/shout", "/whisper"])
def test_each_kind_of_handler_answers(client: WebSocketTestClient, path: str) -> None:
    with client.connect(path, subprotocols=["chat.v1"]) as ws:
        assert ws.subprotocol == "chat.v1"
        for word in ("one", "two"):
            ws.send(word)
            assert str(ws.receive()).rstrip("!") == word
        client.clock.advance(50)
        ws.send("three")
        assert str(ws.receive()).rstrip("!") == "three"
    assert ws.close_code == 1000


def test_async_handler_needs_no_thread(client: WebSocketTestClient) -> None:
    before = set(threading.enumerate())
    with client.connect("/async-echo") as ws:
        ws.send(b"x")
        assert ws.receive() == b"x"
        assert set(threading.enumerate()) == before


def test_time_of_the_loop_is_the_clocks(client: WebSocketTestClient) -> None:
    ws = client.connect("/late")
    ws.send("x")
    with pytest.raises(NoMessage):
        ws.receive(timeout=59)
    assert ws.receive(timeout=1) == "late x"


def test_application_is_told_of_its_beginning_and_its_end() -> None:
    with WebSocketTestClient(site.asgi) as client:
        assert site.LIFE == []
        answer = client.post("/", "body")
        assert answer.json() == {"method": "POST", "body": "body", "state": {"since": "startup"}}
        assert answer.header("Content-Type") == "text/json"
        assert site.LIFE == ["lifespan.startup"]
    assert site.LIFE == ["lifespan.startup", "lifespan.shutdown"]
    site.LIFE.clear()
    with pytest.raises(RuntimeError, match="this client is closed"):
        client.get("/")
    client.close()


def test_refusals_are_those_of_a_server(client: WebSocketTestClient) -> None:
    with pytest.raises(HandshakeRefused) as refused:
        client.connect("/gone")
    assert (refused.value.status, refused.value.text, refused.value.response.header("X-A")) == (
        410,
        "gone",
        "b",
    )
    with pytest.raises(HandshakeRefused, match="/forbidden was refused with 403 Forbidden"):
        client.connect("/forbidden")
    with pytest.raises(HandshakeRefused, match="403 Forbidden: pages of the origin"):
        client.connect("/echo", origin="http://evil.example")
    with pytest.raises(ValueError, match="boom"):
        client.connect("/crash")
    with pytest.raises(RuntimeError, match="returned without an answer to the opening handshake"):
        client.connect("/nothing")


def test_handler_knows_its_request(client: WebSocketTestClient) -> None:
    ws = client.connect("/facts/blau%20ß", cookies={"a": "b"}, scope={"client": ("10.0.0.1", 1)})
    facts = ws.receive_json()
    assert (facts["room"], facts["HTTP_COOKIE"], facts["peer"]) == ("blau ß", "a=b", ["10.0.0.1", 1])
    with pytest.raises(TypeError, match="has a scope, and no environ"):
        client.connect("/echo", environ={})


def test_handler_that_raises_closes_with_1011(
    client: WebSocketTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    ws = client.connect("/broken")
    ws.send("x")
    ws.expect_close(1011)
    assert [record.levelno for record in caplog.records if record.levelno > logging.INFO] == [logging.ERROR]


def make_fastapi() -> FastAPI:
    api = FastAPI()

    @api.get("/plain", response_class=PlainTextResponse)
    def plain() -> str:
        return threading.current_thread().name

    @api.websocket("/native/{word}")
    async def native(ws: WebSocket, word: str) -> None:
        await ws.accept(headers=[(b"x-a", b"b")])
        async for text in ws.iter_text():
            await asyncio.sleep(1)
            await ws.send_text(word + text)

    return api


def test_fastapi_and_its_own_websockets_are_served(caplog: pytest.LogCaptureFixture) -> None:
    app = WebSocketASGI(make_fastapi(), {"/echo": site.AsyncEcho})
    with WebSocketTestClient(app) as client:
        assert client.get("/plain").text != threading.current_thread().name
        with client.connect("/native/a?b") as ws, client.connect("/echo") as other:
            ws.send("b")
            other.send("c")
            assert (other.receive(), ws.receive()) == ("c", "ab")
            assert ("x-a", "b") in ws.headers
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    site.ENDS.clear()


def test_application_that_cannot_begin_is_told() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with WebSocketTestClient(broken) as client:
        with pytest.raises(RuntimeError, match=r"lifespan\.startup has failed: no database"):
            client.get("/")


def test_application_that_never_answers_is_told(client: WebSocketTestClient) -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait() if scope["type"] != "lifespan" else None

    with WebSocketTestClient(silent) as other:
        with pytest.raises(NoMessage, match="/ws: the opening handshake was not answered within 60 s"):
            other.connect("/ws")
        with pytest.raises(NoMessage, match="GET / was not answered within 60 s"):
            other.get("/")


def test_inside_of_a_running_loop_it_is_told(client: WebSocketTestClient) -> None:
    async def test() -> None:
        client.get("/")

    with pytest.raises(RuntimeError, match="another loop is running"):
        asyncio.run(test())


def test_shutdown_closes_with_1001(client: WebSocketTestClient) -> None:
    ws = client.connect("/async-echo")
    client.shutdown()
    ws.expect_close(1001)
