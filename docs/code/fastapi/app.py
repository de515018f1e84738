from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException
from starlette.requests import HTTPConnection

from ws4py_middleware import AsyncWebSocket, Route, WebSocketASGI
from ws4py_middleware.hub import get_hub
from ws4py_middleware.messaging import Message

site = FastAPI()  # the app you have

TOKENS = {"swordfish": "Ada"}  # what your database knows


class Chat(AsyncWebSocket):
    async def opened(self) -> None:
        self.room = self.params["room"]
        self.name = self.environ["asgi.scope"]["name"]
        self.join(self.room, {"name": self.name})
        await self.send(f"Welcome, {self.name}!")

    async def received_message(self, message: Message) -> None:
        self.hub.publish(self.room, f"{self.name}: {message}")


# [authorize]
async def is_member(scope: dict[str, Any], room: str) -> None:
    name = TOKENS.get(HTTPConnection(scope).cookies.get("token", ""))
    if name is None:
        raise HTTPException(401, "who are you?")
    if room == "board":
        raise HTTPException(403, "you are not on the board")
    scope["name"] = name  # for the handler


# [/authorize]


# [publish]
@site.post("/rooms/{room}")
async def announce(room: str, text: Annotated[str, Body(embed=True)]) -> dict[str, Any]:
    get_hub().publish(room, text)
    return {"here": [member.info["name"] for member in get_hub().members(room)]}


# [/publish]


app = WebSocketASGI(site, {"/chat/<room>": Route(Chat, authorize=is_member)}, max_message_size=16 * 1024)
