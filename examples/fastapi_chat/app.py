"""
A chat in a FastAPI application: rooms, names, and a plain POST that speaks into a room.

    uvicorn app:app

A browser that opens ``/room/<room>`` gets a page, whose script opens a WebSocket to ``/chat/<room>``. Both
sides speak JSON. One task runs each connection; nothing here waits, so no thread is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Body, FastAPI, HTTPException
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from ws4py_middleware import AsyncWebSocket, WebSocketASGI
from ws4py_middleware.hub import Member, get_hub
from ws4py_middleware.messaging import Message

STATIC = Path(__file__).parent / "static"
MAX_NAME, MAX_TEXT = 24, 1000

site = FastAPI(title="A chat")
site.mount("/static", StaticFiles(directory=STATIC))


@site.get("/", include_in_schema=False)
async def home() -> RedirectResponse:
    """Send a new visitor to a room."""
    return RedirectResponse("/room/lobby")


@site.get("/room/{room}", include_in_schema=False)
async def page(room: str) -> FileResponse:
    """Show the page, which is the same for every room."""
    return FileResponse(STATIC / "index.html")


@site.get("/api/rooms/{room}")
async def people(room: str) -> list[str]:
    """Tell who is in a room."""
    return sorted(member.info["name"] for member in get_hub().members(room))


@site.post("/api/rooms/{room}")
async def announce(room: str, text: Annotated[str, Body(embed=True, max_length=MAX_TEXT)]) -> int:
    """Say something in a room, and tell how many hear it."""
    if not text.strip():
        raise HTTPException(422, "There is nothing to say.")
    return get_hub().publish(room, encode("said", name="", text=text.strip()))


class Chat(AsyncWebSocket):
    """One browser in one room."""

    async def opened(self) -> None:
        """Come in: ``/chat/<room>?name=<name>``."""
        self.room: str = self.params["room"]
        self.name = self.free_name(parse_qs(self.environ["QUERY_STRING"]).get("name", [""])[0])
        self.join(self.room, {"name": self.name})
        await self.send(encode("welcome", name=self.name))

    async def received_message(self, message: Message) -> None:
        """Let everybody in the room read it."""
        text = str(message).strip() if message.is_text else ""
        if text:
            self.hub.publish(self.room, encode("said", name=self.name, text=text))

    def free_name(self, wanted: str) -> str:
        """Return the name, with a number behind it when somebody here has it."""
        wanted = (
            " ".join("".join(c if c.isprintable() else " " for c in wanted).split())[:MAX_NAME] or "Guest"
        )
        taken = {member.info["name"].casefold() for member in self.hub.members(self.room)}
        name, number = wanted, 1
        while name.casefold() in taken:
            number += 1
            name = f"{wanted} {number}"
        return name


@get_hub().on_joined
@get_hub().on_left
def tell_people(room: str, member: Member) -> None:
    """Tell a room who is in it, whenever that changes."""
    names = sorted(member.info["name"] for member in get_hub().members(room))
    get_hub().publish(room, encode("people", names=names))


def encode(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


# Who does not keep up is disconnected, and comes back: nobody's memory is filled for them.
app = WebSocketASGI(
    site, {"/chat/<room>": Chat}, max_message_size=4 * MAX_TEXT, queue_policy="disconnect", idle_timeout=3600
)
