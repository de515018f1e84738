"""
Denials: answer an opening handshake inside an ASGI server with something else than a WebSocket.

Servers with the extension ``websocket.http.response`` send any answer; the others have a plain 403
for whatever is refused. A response may be an ASGI application (Starlette's), a WSGI application
(Werkzeug's), Django's, or (status, text).
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from types import TracebackType
from typing import Any

from asgiref.sync import sync_to_async

from .contexts import is_async
from .core.headers import check_header_name, check_header_value
from .exchanges import Receive, Scope, Send
from .handover.answers import without_hop_by_hop
from .scopes import build_environ

__all__ = ["answer", "can_answer", "deny", "is_response_error"]

logger = logging.getLogger("ws4py_middleware")

Headers = Iterable[tuple[str, str]]

#: What each answer of ours begins with: it is one line of text.
_PLAIN = ("Content-Type", "text/plain; charset=utf-8")


def is_response_error(error: Exception) -> bool:
    """Tell whether an exception is an HTTP response: Werkzeug's, or Starlette's and FastAPI's."""
    if hasattr(error, "get_response") and callable(error):
        return True
    return isinstance(getattr(error, "status_code", None), int) and hasattr(error, "detail")


def can_answer(scope: Scope) -> bool:
    """Tell whether the answer to an opening handshake can be any; else it is a plain 403."""
    return "websocket.http.response" in (scope.get("extensions") or {})


async def answer(scope: Scope, send: Send, status: int, text: str, headers: Headers = ()) -> None:
    """Answer with one line of text, be it a request or the opening handshake of a WebSocket."""
    body = (text + "\n").encode()
    fields = [_PLAIN, ("Content-Length", str(len(body))), *headers]
    if scope.get("method") == "HEAD":
        body = b""
    await _send_whole(scope, send, status, fields, body)


async def deny(scope: Scope, receive: Receive, send: Send, refusal: Any) -> None:
    """
    Answer with what ``authorize`` has returned or raised.

    Raises:
        TypeError: It is none of what it may be.
    """
    match refusal:
        case False:
            await answer(scope, send, 403, "this connection is not allowed")
        case (int() as status, str() as text) if 300 <= status <= 599:
            await answer(scope, send, status, text)
        case Exception() if not callable(refusal):
            headers = dict(getattr(refusal, "headers", None) or {})
            detail = getattr(refusal, "detail", "")
            await answer(scope, send, getattr(refusal, "status_code", 500), str(detail), headers.items())
        case _ if callable(refusal) and is_async(refusal):
            denial = _Denial(scope, send)
            with denial:
                await refusal({**scope, "type": "http", "method": "GET"}, _receiving(receive), denial.send)
        case _ if hasattr(refusal, "status_code") and hasattr(refusal, "cookies"):
            await _deny_by_django(scope, send, refusal)
        case _ if callable(refusal):
            await _deny_by_wsgi(scope, send, refusal)
        case _:
            raise TypeError(
                f"authorize returned {refusal!r}; it returns None or True, False, "
                "(status, text) with a status from 300 to 599, or a response"
            )


async def _deny_by_django(scope: Scope, send: Send, response: Any) -> None:
    # As its ASGIHandler sends it.
    cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
    body = (
        b"".join([part async for part in response])
        if getattr(response, "is_async", False)
        else await _in_thread(b"".join, response)
    )
    await _send_whole(scope, send, response.status_code, [*response.items(), *cookies], body)
    await _in_thread(response.close)


async def _deny_by_wsgi(scope: Scope, send: Send, response: Any) -> None:
    status, fields = 500, []

    def start_response(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        nonlocal status, fields
        status, fields = int(line[:3]), headers

    def run() -> bytes:
        iterable = response(build_environ(scope), start_response)
        try:
            return b"".join(iterable)
        finally:
            getattr(iterable, "close", _nothing)()

    body = await _in_thread(run)
    await _send_whole(scope, send, status, fields, body)


async def _send_whole(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    denial = _Denial(scope, send)
    with denial:
        await denial.send({"type": "http.response.start", "status": status, "headers": _encode(headers)})
        await denial.send({"type": "http.response.body", "body": body})


def _in_thread(function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
    return sync_to_async(functools.partial(function, *args), thread_sensitive=False)()


class _Denial:
    """
    What sends a response as the answer to this opening handshake, or this request.

    A block with it ends in order when what it raises comes from a client that has left.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._is_websocket = scope["type"] == "websocket"
        self._can_answer = can_answer(scope)
        self._has_begun = False
        self._is_over = False  # nobody takes any more of it

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._is_over and isinstance(error, Exception):
            logger.debug("nobody takes the answer", exc_info=error)
            return True
        return False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """
        Send a message of a response.

        Raises:
            ValueError: A header has a CR, LF or NUL, or a name that is none; nothing was sent.
            OSError: Nobody takes any more of it: the client has left, or has been told the 403.
        """
        kind: str = message["type"]
        if kind == "http.response.start":
            # Some servers check none of it.
            for name, value in message.get("headers", ()):
                check_header_name(bytes(name).decode("latin-1"))
                check_header_value(bytes(value).decode("latin-1"))
        if not self._is_websocket:
            await self._send(message)
        elif self._can_answer and kind in ("http.response.start", "http.response.body"):
            try:
                await self._send({**message, "type": f"websocket.{kind}"})
            except (OSError, RuntimeError) as error:
                # Some servers have no better word for it; but what they have against the start is our fault.
                self._is_over = self._has_begun or isinstance(error, OSError)
                raise
            self._has_begun = True
        elif kind == "http.response.start":
            # Before anything is accepted this is a 403, everywhere.
            await self._send({"type": "websocket.close"})
        elif kind == "http.response.body" and message.get("more_body"):
            self._is_over = True
            raise OSError("this server has sent a 403 and takes no more of the response")


def _receiving(receive: Receive) -> Receive:
    """Let a response receive what it wants to know: that there is no body, and when the client has left."""
    has_asked = False

    async def hear() -> MutableMapping[str, Any]:
        nonlocal has_asked
        if not has_asked:
            has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (await receive())["type"] != "websocket.disconnect":
            pass
        # Whoever asks again and again must not keep the loop from everybody else.
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    return hear


def _encode(headers: Headers) -> list[tuple[bytes, bytes]]:
    # HTTP/2 knows none of those about this hop, and HTTP/1.1 leaves them to the server.
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in without_hop_by_hop(headers)
    ]


def _nothing() -> None: ...
