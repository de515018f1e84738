from __future__ import annotations

from collections.abc import Iterable
from http.cookies import SimpleCookie
from typing import Any

from ws4py_middleware import Route, WebSocket, WebSocketMiddleware
from ws4py_middleware.hub import get_hub
from ws4py_middleware.messaging import Message

TOKENS = {"swordfish": "Ada"}  # what your application knows


class Chat(WebSocket):
    def opened(self) -> None:
        self.room, self.name = self.params["room"], self.environ["example.name"]
        self.join(self.room)
        self.send(f"Welcome, {self.name}!")

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.room, f"{self.name}: {message}")


# [authorize]
def is_member(environ: dict[str, Any], room: str) -> Any:
    token = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("token")
    name = TOKENS.get(token.value) if token else None
    if name is None:
        return 401, "who are you?"
    environ["example.name"] = name  # for the handler
    return None if room != "board" else False


# [/authorize]


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Do what your application does."""
    path, length = environ["PATH_INFO"], int(environ.get("CONTENT_LENGTH") or 0)
    if environ["REQUEST_METHOD"] == "POST" and path.startswith("/rooms/"):
        text = environ["wsgi.input"].read(length).decode()
        answer = f"told {get_hub().publish(path.removeprefix('/rooms/'), text)}"
    else:
        answer = "a page"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [answer.encode()]


app = WebSocketMiddleware(application, {"/chat/<room>": Route(Chat, authorize=is_member)})
