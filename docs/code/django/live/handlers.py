from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ws4py_middleware import WebSocket
from ws4py_middleware.config.django import user_of
from ws4py_middleware.messaging import Message


def is_logged_in(environ: Mapping[str, Any], room: str) -> bool:
    return bool(user_of(environ).is_authenticated)


class Chat(WebSocket):
    def opened(self) -> None:
        self.room = self.params["room"]
        self.user = user_of(self.environ)
        self.join(self.room)
        self.send(f"Welcome, {self.user.get_username()}!")

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.room, f"{self.user.get_username()}: {message}")
