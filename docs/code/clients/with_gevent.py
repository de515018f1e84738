from __future__ import annotations

import gevent

from ws4py_middleware.client.geventclient import WebSocketClient

client = WebSocketClient("ws://localhost:9000/echo")
client.connect()


def incoming() -> None:
    while (message := client.receive()) is not None:
        print(message)


def outgoing() -> None:
    for number in range(3):
        client.send(f"number {number}")
    client.close()


gevent.joinall([gevent.spawn(incoming), gevent.spawn(outgoing)])
