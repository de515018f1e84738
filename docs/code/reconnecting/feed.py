from __future__ import annotations

from ws4py_middleware.client import Backoff
from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.messaging import Message


class Feed(WebSocketClient):
    def opened(self) -> None:
        self.send("subscribe")

    def received_message(self, message: Message) -> None:
        print(message)
        self.close()

    def reconnecting(self, attempt: int, delay: float, cause: Exception) -> None:
        print(f"attempt {attempt} in {delay:.1f} s: {cause}")


feed = Feed("ws://localhost:9000/echo", reconnect=Backoff(maximum=60))
feed.connect()
feed.run_forever()
