from __future__ import annotations

from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import Message

manager = WebSocketManager()


class EchoClient(WebSocketBaseClient):
    def handshake_ok(self) -> None:
        manager.add(self)

    def received_message(self, message: Message) -> None:
        print(message)


manager.start()
clients = [EchoClient("ws://localhost:9000/echo") for _ in range(20)]
for client in clients:
    client.connect()
manager.broadcast("to the server, once from each")

manager.close_all(1000, "done")
for client in clients:
    client.run()  # in a manager's hands it waits for the end, and does nothing else
manager.stop()
