from __future__ import annotations

import json
from pathlib import Path

from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.messaging import Message

kept = Path("positions.json")


class Prices(WebSocketClient):
    def received_message(self, message: Message) -> None:
        print(message.room, message.id, message)
        kept.write_text(json.dumps(self.positions))

    def missed(self, room: str) -> None:
        print("some prices are lost")


positions = json.loads(kept.read_text()) if kept.exists() else {}
prices = Prices("ws://localhost:8000/prices", ["ws4py.replay.v1"], reconnect=True, positions=positions)
prices.connect()
prices.run_forever()
