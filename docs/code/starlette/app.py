from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from ws4py_middleware import WebSocket, WebSocketASGI
from ws4py_middleware.messaging import Message


async def login(request: Request) -> PlainTextResponse:
    request.session["name"] = request.query_params["name"]
    return PlainTextResponse("welcome")


def is_logged_in(scope: dict[str, Any], **params: str) -> Any:
    if "name" not in scope["session"]:  # SessionMiddleware has been here
        return PlainTextResponse("who are you?", status_code=401)
    return None


class Chat(WebSocket):
    def opened(self) -> None:
        self.room, self.name = self.params["room"], self.environ["asgi.scope"]["session"]["name"]
        self.join(self.room)
        self.send(f"Welcome, {self.name}!")

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.room, f"{self.name}: {message}")


live = WebSocketASGI(routes={"/chat/<room>": Chat}, authorize=is_logged_in)

app = Starlette(
    routes=[Route("/login", login, methods=["POST"]), Mount("/live", app=live)],
    middleware=[Middleware(SessionMiddleware, secret_key="for your own machine only")],
)
