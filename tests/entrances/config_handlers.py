"""What the configurations of the tests import."""

from __future__ import annotations

from typing import Any

from ws4py_middleware import Policy, WebSocket
from ws4py_middleware.messaging import Message


class Chat(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(f"{self.params['room']}: {message}")


class Small(WebSocket):
    policy = Policy(max_message_size=4)


class Outer:
    class Inner(Chat):
        pass


def count(ws: Any, start: int) -> None:
    for number, message in enumerate(ws, start):
        ws.send(f"{number} {message}")


def is_member(environ: dict[str, Any], **params: Any) -> Any:
    return environ.get("HTTP_X_MEMBER") == "yes" or (402, "members only")


number = 7


async def later(ws: Any) -> None:
    """Needs a loop."""
