from __future__ import annotations

from tornado.ioloop import IOLoop

from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from ws4py_middleware.messaging import Message


class Greeter(TornadoWebSocketClient):
    def opened(self) -> None:
        self.send("hello, tornado")

    def received_message(self, message: Message) -> None:
        print(message)
        self.close()

    def closed(self, code: int, reason: str | None = None) -> None:
        IOLoop.current().stop()


client = Greeter("ws://localhost:9000/echo")
client.connect()
loop = IOLoop.current()
loop.start()
loop.close()
