from __future__ import annotations

from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.messaging import Message


class Listener(WebSocketClient):
    def received_message(self, message: Message) -> None:
        print("it says", message)


client = Listener("ws://localhost:9000/echo")
client.connect()
client.send("hello")  # the main thread goes on with what it has to do
client.close()
client.run_forever()
