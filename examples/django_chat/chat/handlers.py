"""
The WebSocket of a room, and who may open it. ``settings.WEBSOCKETS`` names both.

These run the same under WSGI and ASGI, and the ORM is used as in a view: around each callback, database
connections are looked after as around a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver

from ws4py_middleware import WebSocket
from ws4py_middleware.config.django import user_of
from ws4py_middleware.hub import get_hub
from ws4py_middleware.messaging import Message as Received

from .models import Message

HISTORY = 50
LONGEST = 2000
LONGEST_ROOM = 64
LOGGED_OUT = 4001


def is_logged_in(environ: Mapping[str, Any], room: str) -> bool:
    """Let in whoever has logged in; everybody else gets a 403."""
    return len(room) <= LONGEST_ROOM and bool(user_of(environ).is_authenticated)


class Chat(WebSocket):
    """One browser in one room."""

    def opened(self) -> None:
        """Come in, and hear what was said before."""
        self.room = str(self.params["room"])
        self.user = user_of(self.environ)
        self.name = self.user.get_username()
        if not self.user.is_authenticated:
            self.close(LOGGED_OUT, "logged out")  # since is_logged_in() has looked
            return
        self.join(self.room, {"name": self.name})
        self.join(private(self.user.pk))
        latest = Message.objects.filter(room=self.room).select_related("author").order_by("-pk")[:HISTORY]
        history = [message.public() for message in reversed(latest)]
        self.send(json.dumps({"type": "welcome", "you": self.name, "history": history}))
        self.tell_who_is_here()

    def received_message(self, message: Received) -> None:
        """Keep what is said, and tell everybody in the room."""
        text = str(message).strip()
        if not text or len(text) > LONGEST:
            self.send(json.dumps({"type": "error", "text": f"A message has 1 to {LONGEST} characters."}))
            return
        said = Message.objects.create(room=self.room, author=self.user, text=text)
        self.hub.publish(self.room, json.dumps({"type": "said", "message": said.public()}))

    def closed(self, code: int, reason: str | None = None) -> None:
        """Tell the others who is left; the rooms were left before this."""
        self.tell_who_is_here()

    def tell_who_is_here(self) -> None:
        names = sorted({member.info["name"] for member in self.hub.members(self.room)})
        self.hub.publish(self.room, json.dumps({"type": "people", "names": names}))


def private(user_id: object) -> str:
    """Return the room of all sockets of one person."""
    return f"user/{user_id}"  # no room of the address has a slash in it


@receiver(user_logged_out)
def hang_up(sender: object, user: Any, **options: Any) -> None:
    """Close the sockets of a person who logs out; other browsers of theirs just connect again."""
    if user is not None:
        for websocket in get_hub().websockets(private(user.pk)):
            websocket.close(LOGGED_OUT, "logged out")
