"""WebSocketASGI as an ASGI application by itself: the scopes and messages are the test's."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.responses import RedirectResponse, StreamingResponse

from tests.drivers.test_scopes import scope
from ws4py_middleware import EchoWebSocket, Route, WebSocketASGI

Message = MutableMapping[str, Any]

REFUSAL: dict[str, Any] = {"websocket.http.response": {}}


def call(app: WebSocketASGI, what: dict[str, Any], *brought: str) -> list[Message]:
    """Call an application, and return what it has sent."""
    sent: list[Message] = []
    queue = list(brought)

    async def receive() -> Message:
        if not queue:
            await asyncio.Event().wait()
        return {"type": queue.pop(0)}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(what, receive, send), 5))
    return sent


def http(path: str, method: str = "GET") -> dict[str, Any]:
    return scope([], type="http", method=method, path=path, scheme="http")


def websocket(path: str = "/echo", **changes: Any) -> dict[str, Any]:
    return scope(path=path, raw_path=None, **changes)


ALONE = WebSocketASGI(routes={"/echo": EchoWebSocket})


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ([{"/echo": EchoWebSocket}], TypeError, "the routes are the second argument"),
        (["app"], TypeError, "app is 'app'; it is an ASGI application"),
        ([None, {"echo": EchoWebSocket}], ValueError, r"routes\['echo'\]: a path begins with a slash"),
    ],
)
def test_what_is_wrong_is_told_when_it_is_made(
    arguments: list[Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        WebSocketASGI(*arguments)


def test_wrong_options_are_told_when_it_is_made() -> None:
    with pytest.raises(TypeError, match="did you mean 'max_message_size'"):
        WebSocketASGI(max_mesage_size=1)
    with pytest.raises(TypeError, match="manager is 7; it is a TaskManager"):
        WebSocketASGI(manager=7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="authorize is 7"):
        WebSocketASGI(authorize=7)  # type: ignore[arg-type]


def test_alone_it_answers_http() -> None:
    start, body = call(ALONE, http("/elsewhere"))
    assert (start["type"], start["status"]) == ("http.response.start", 404)
    assert body == {"type": "http.response.body", "body": b"there is nothing here\n"}
    start, body = call(ALONE, http("/echo", "HEAD"))
    assert (start["status"], body["body"]) == (426, b"")
    assert (b"sec-websocket-version", b"13") in start["headers"]


def test_alone_it_lives_with_the_server() -> None:
    sent = call(ALONE, {"type": "lifespan"}, "lifespan.startup", "lifespan.shutdown")
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


def test_alone_it_refuses_other_websockets() -> None:
    start, _ = call(ALONE, websocket("/elsewhere", extensions=REFUSAL), "websocket.connect")
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 404)
    assert call(ALONE, websocket("/elsewhere"), "websocket.connect") == [{"type": "websocket.close"}]


def test_client_that_left_before_is_nobodys_fault() -> None:
    assert call(ALONE, websocket(), "websocket.disconnect") == []


def test_everything_else_goes_to_the_application_untouched() -> None:
    seen = []

    async def inner(*arguments: Any) -> None:
        seen.append(arguments)

    app = WebSocketASGI(inner, {"/echo": EchoWebSocket})
    for what in (http("/echo"), websocket("/elsewhere"), {"type": "something new"}):
        assert call(app, what) == []
        assert seen[-1][0] is what


def fill_the_house(**scope: Any) -> list[Message]:
    """Open the one WebSocket that there may be; return what is sent then, and to the next one."""
    app = WebSocketASGI(routes={"/echo": Route(EchoWebSocket, max_connections=1)})

    async def main() -> list[Message]:
        sent: list[Message] = []
        first: asyncio.Queue[Message] = asyncio.Queue()
        first.put_nowait({"type": "websocket.connect"})

        async def send(message: Message) -> None:
            sent.append(message)

        async def connect() -> Message:
            return {"type": "websocket.connect"}

        task = asyncio.ensure_future(app(websocket(), first.get, send))
        while not sent:
            await asyncio.sleep(0.001)
        await app(websocket(**scope), connect, send)
        first.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await task
        return sent

    return asyncio.run(main())


def test_full_house_is_503() -> None:
    accept, start, _ = fill_the_house(extensions=REFUSAL)
    assert accept == {"type": "websocket.accept", "subprotocol": None}
    assert start["status"] == 503
    assert (b"retry-after", b"5") in start["headers"]


def test_full_house_is_1013_where_all_that_can_be_said_before_is_403() -> None:
    _, accept, close = fill_the_house()
    assert accept == {"type": "websocket.accept", "subprotocol": None}
    assert (close["type"], close["code"]) == ("websocket.close", 1013)
    assert close["reason"] == "this server has 1 WebSockets open and takes no more"


def test_beginning_after_an_end_in_the_same_loop_takes_websockets_again() -> None:
    """As where tests begin and end an application one after the other."""

    async def main() -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        for _ in range(2):
            app = WebSocketASGI(routes={"/echo": EchoWebSocket}, signals=False)
            incoming: asyncio.Queue[Message] = asyncio.Queue()
            lifespan: asyncio.Queue[Message] = asyncio.Queue()
            lifespan.put_nowait({"type": "lifespan.startup"})
            living = asyncio.ensure_future(app({"type": "lifespan"}, lifespan.get, send))
            await asyncio.sleep(0)
            incoming.put_nowait({"type": "websocket.connect"})
            incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
            await app(websocket(), incoming.get, send)
            lifespan.put_nowait({"type": "lifespan.shutdown"})
            await living
        return sent

    accepted = [message for message in asyncio.run(main()) if message["type"] == "websocket.accept"]
    assert len(accepted) == 2


def test_server_that_cancels_gets_a_close_and_the_handler_its_end() -> None:
    ends = []

    class Handler(EchoWebSocket):
        def closed(self, code: int, reason: str | None = None) -> None:
            ends.append(code)

    app = WebSocketASGI(routes={"/echo": Handler}, signals=False)

    async def main() -> list[Message]:
        sent: list[Message] = []
        incoming: asyncio.Queue[Message] = asyncio.Queue()
        incoming.put_nowait({"type": "websocket.connect"})

        async def send(message: Message) -> None:
            sent.append(message)

        task = asyncio.ensure_future(app(websocket(), incoming.get, send))
        while not sent:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return sent

    assert asyncio.run(main())[1:] == [
        {"type": "websocket.close", "code": 1001, "reason": "Server is shutting down"}
    ]
    assert ends == [1001]


# --- what authorize may return ---------------------------------------------------------------------------


async def pieces() -> Any:
    yield b"one "
    yield b"two"


@pytest.mark.parametrize(
    ("make", "status", "header", "body"),
    [
        (lambda: RedirectResponse("/login"), 307, (b"location", b"/login"), b""),
        (lambda: StreamingResponse(pieces(), 402, {"X-A": "b"}), 402, (b"x-a", b"b"), b"one two"),
    ],
)
def test_authorize_may_return_any_response(
    make: Any, status: int, header: tuple[bytes, bytes], body: bytes
) -> None:
    async def authorize(scope: Any) -> Any:
        return make()

    app = WebSocketASGI(routes={"/echo": EchoWebSocket}, authorize=authorize)
    start, *rest = call(app, websocket(extensions=REFUSAL), "websocket.connect")
    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert header in start["headers"]
    assert b"".join(message["body"] for message in rest) == body
    assert call(app, websocket(), "websocket.connect") == [{"type": "websocket.close"}]


def test_authorize_that_returns_something_else_or_fails_is_an_error() -> None:
    def returns(scope: Any) -> str:
        return "yes"

    def fails(scope: Any) -> None:
        raise LookupError("a fault of its own")

    with pytest.raises(TypeError, match="authorize returned 'yes'"):
        call(WebSocketASGI(routes={"/echo": Route(EchoWebSocket, authorize=returns)}), websocket(), CONNECT)
    with pytest.raises(LookupError):
        call(WebSocketASGI(routes={"/echo": Route(EchoWebSocket, authorize=fails)}), websocket(), CONNECT)


CONNECT = "websocket.connect"
