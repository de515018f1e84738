from __future__ import annotations

from ws4py_middleware import WebSocket
from ws4py_middleware.messaging import Message


class Chat(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(message)


class Upload(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(f"{len(message.data)} bytes")
