from __future__ import annotations

from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.messaging import Message


class Countdown(WebSocketBaseClient):
    def opened(self) -> None:
        self.send("3")

    def received_message(self, message: Message) -> None:
        number = int(str(message))
        print(number)
        if number > 1:
            self.send(str(number - 1))
        else:
            self.close(reason="Bye bye")

    def closed(self, code: int, reason: str | None = None) -> None:
        print("closed", code, reason)


client = Countdown("ws://localhost:9000/echo")
client.connect()
client.run()
