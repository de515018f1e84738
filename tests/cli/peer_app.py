"""A server whose routes are good and bad peers of the command line; WSGI."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any, ClassVar

from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

from ws4py_middleware import EchoWebSocket, Route, WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message

#: What a terminal would obey: a new title, colours, another line, right to left, nothing to be seen, C1.
NASTY = "\x1b]0;pwned\x07\x1b[31mred\r\n\u202egnp.exe\u200b\x9b2J\x7f"


class Counting(WebSocket):
    """Say so many numbers."""

    def opened(self) -> None:
        for number in range(self.params["number"]):
            self.send(f'{{"number": {number}}}')


class Closing(WebSocket):
    """Close at the first message."""

    def received_message(self, message: Message) -> None:
        self.close(self.params["code"], "so it is \x1b[2J")


class Nasty(WebSocket):
    """Say what a terminal must not have."""

    def opened(self) -> None:
        self.send(NASTY)
        self.send('{\n\t"a": [1.10, "\u202e"]\r\n}')
        self.send(bytes(range(20)), binary=True)
        self.close(4000, NASTY)


class Silent(WebSocket):
    """Say nothing."""

    def received_message(self, message: Message) -> None:
        pass


class Lost(WebSocket):
    """Go away without a word, at the first message."""

    def received_message(self, message: Message) -> None:
        self.terminate()


class Liar(WebSocket):
    """Send each message back with one bit wrong."""

    def received_message(self, message: Message) -> None:
        self.send(bytes([message.data[0] ^ 1]) + message.data[1:], binary=not message.is_text)


class Meeting(WebSocket):
    """Tell whoever waits that ten have sent something, and answer none of them."""

    awaiting: ClassVar[threading.Semaphore] = threading.Semaphore(0)

    def received_message(self, message: Message) -> None:
        self.awaiting.release()


def wait_for_ten(ws: WebSocket) -> None:
    for _ in range(10):
        Meeting.awaiting.acquire()
    ws.send("they are here")


class Telling(WebSocket):
    """Say what the request was."""

    def opened(self) -> None:
        names = ("HTTP_AUTHORIZATION", "HTTP_ORIGIN", "HTTP_SEC_WEBSOCKET_PROTOCOL", "wsgi.url_scheme")
        self.send(" ".join(str(self.environ.get(name)) for name in names))


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/refuse":
        answer = Forbidden(response=Response(f"Go away\n{NASTY}", 403, {"X-Why": "because"}))
        return answer(environ, start_response)
    if environ["PATH_INFO"] == "/moved":
        return Response("", 302, {"Location": "/echo"})(environ, start_response)
    return Response(str(os.getpid()))(environ, start_response)


app = WebSocketMiddleware(
    site,
    {
        "/close/<int:code>": Closing,
        "/count/<int:number>": Counting,
        "/echo": Route(EchoWebSocket, subprotocols=["chat.v1"], compression=True, max_message_size=2**24),
        "/liar": Liar,
        "/lost": Lost,
        "/meet": Meeting,
        "/meet/await": wait_for_ten,
        "/nasty": Nasty,
        "/silent": Silent,
        "/tell": Route(Telling, subprotocols=["chat.v1"], origins="*"),
    },
)
